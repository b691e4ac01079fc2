"""The current version of one resource.

https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

from gateway.fhir.elements import load
from gateway.http.problems import FHIR_JSON, Problem
from gateway.site import Site
from gateway.store import resources
from gateway.store.scope import Scope


def known_type(type_: str) -> None:
    """Problem 404 when R4 has no such resource type."""
    found = load().types.get(type_)
    if found is None or found.kind != "resource":
        raise Problem(404, "not-supported", f"FHIR R4 没有 {type_} 这种资源; 请核对大小写", f"FHIR R4 has no resource type {type_}")


def handle(request: Request, site: Site, type_: str, id_: str) -> Response:
    """200 with ETag and Last-Modified; 304 when If-None-Match names the current version; 404 unknown; 410 deleted."""
    known_type(type_)
    with site.database.engine.connect() as connection:
        found = resources.read(connection, type_, id_, Scope.all(request.state.caller.client))
    if found is None:
        raise Problem(404, "not-found", f"没有 {type_}/{id_}", f"{type_}/{id_} is not known")
    headers = {"ETag": f'W/"{found.version}"', "Last-Modified": format_datetime(found.time, usegmt=True)}
    if found.deleted:
        raise Problem(410, "deleted", f"{type_}/{id_} 已删除", f"{type_}/{id_} was deleted", headers=headers)
    if headers["ETag"] in [t.strip() for t in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers={**headers, "Content-Type": f"{FHIR_JSON}; charset=utf-8"})
