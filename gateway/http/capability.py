"""The CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html), made from what is registered, so that it promises nothing
that no route answers."""

from __future__ import annotations

from typing import Any

import orjson

from gateway import __version__
from gateway.fhir.elements import load
from gateway.http.registry import Registry, registry

__all__ = ["DATE", "statement"]

DATE = "2026-11-22"
"""Publication date of this statement's content (CapabilityStatement.date)."""
CONDITIONAL = {"PUT": "conditionalUpdate", "PATCH": "conditionalPatch"}


def statement(base: str, root: str) -> bytes:
    """The CapabilityStatement of a deployment, as JSON. base: its canonical base; root: where it answers, for clients."""
    known = registry()
    body = {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "version": __version__,
        "name": "Yifang",
        "title": "Yifang 医防网关",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Yifang 医防网关", "version": __version__},
        "implementation": {"description": "Yifang FHIR R4 gateway", "url": root},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(known, name) for name in sorted(load().resource_types())],
                "interaction": _codes(known, ("system",)),
            }
        ],
    }
    if known.operations:
        body["rest"][0]["operation"] = [{"name": o.name, "definition": o.definition} for o in known.operations if "system" in o.levels]  # type: ignore[index]  # a literal of our own
    return orjson.dumps(body)


def _codes(known: Registry, levels: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"code": code} for code in dict.fromkeys(i.code for i in known.interactions if i.code and i.level in levels)]


def _resource(known: Registry, name: str) -> dict[str, Any]:
    routes = known.routes
    parameters = load().search(name)
    made: dict[str, Any] = {
        "type": name,
        "interaction": _codes(known, ("instance", "type")),
        "versioning": "versioned-update",
        "readHistory": "T/i/_history/v" in routes,
        "updateCreate": True,
        "conditionalRead": "full-support",
        "referencePolicy": ["literal", "local"],
        "searchParam": [{"name": code, "type": p.type} for code, p in sorted(parameters.items())],
    }
    operations = [o for o in known.operations if (not o.types or name in o.types) and set(o.levels) & {"type", "instance"}]
    if operations:
        made["operation"] = [{"name": o.name, "definition": o.definition} for o in operations]
    return made
