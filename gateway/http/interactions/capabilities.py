"""What this server can do: the CapabilityStatement follows from the routes and the R4 table.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway import __version__
from gateway.fhir.elements import load
from gateway.http.problems import FHIR_JSON
from gateway.site import Site

SEARCHED = ("_id", "identifier", "patient")
"""Parameters every type that has them can be searched by."""
DATE = "2026-11-22"
"""Publication date of this statement's content (https://hl7.org/fhir/R4/capabilitystatement.html, date)."""


@lru_cache(maxsize=4)
def statement(base: str, here: str) -> bytes:
    """The CapabilityStatement of a deployment, as JSON bytes. base: its canonical base; here: where it answers, for clients."""
    r4 = load()
    resources: list[dict[str, Any]] = []
    for name, kind in sorted(r4.types.items()):
        if kind.kind != "resource":
            continue
        parameters = r4.search(name)
        found = [{"name": code, "type": parameters[code].type} for code in SEARCHED if code in parameters]
        if "_id" not in parameters:
            found.insert(0, {"name": "_id", "type": "token"})
        resources.append({"type": name, "versioning": "versioned", "interaction": [{"code": "read"}, {"code": "search-type"}], "searchParam": found})
    body = {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Yifang 医防网关", "version": __version__},
        "implementation": {"description": "Yifang FHIR R4 gateway", "url": here},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": resources}],
    }
    return orjson.dumps(body)


def handle(request: Request, site: Site) -> Response:
    """200 with the CapabilityStatement."""
    here = str(request.base_url).rstrip("/") + "/fhir"
    return Response(statement(site.config.base, here), headers={"Content-Type": f"{FHIR_JSON}; charset=utf-8"})
