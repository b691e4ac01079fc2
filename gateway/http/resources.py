"""The resource in a request's body, as it may be written (https://hl7.org/fhir/R4/http.html#create, #update)."""

from __future__ import annotations

from typing import Any

from gateway.fhir.structure import check
from gateway.http.binary import wrapped
from gateway.http.call import Call
from gateway.http.negotiate import parsed
from gateway.http.problems import Problem

__all__ = ["checked", "plain", "resource_of"]

Body = dict[str, Any]


def resource_of(call: Call) -> Body:
    """The body of a create or update. Problem 400 or 415, 422 for what R4 does not allow."""
    native = wrapped(call)
    if native is not None:
        return native
    body = parsed(call)
    named = str(body.get("resourceType"))[:64]
    if named != call.type:
        zh = f"请求体是 {named}, 地址是 {call.type}; 两者应一致"
        raise Problem(400, "invalid", zh, f"The body is a {named}, the address a {call.type}", "resourceType")
    return checked(body)


def checked(body: Body) -> Body:
    """The resource as far as it can be validated before it is written. Problem 422 with every fault."""
    resource = plain(body)
    faults = [f for f in check(resource) if f.severity == "refuse"]
    if faults:
        zh, en = "资源不符合 FHIR R4", "The resource is not valid FHIR R4"
        raise Problem(422, "structure", zh, en, faults[0].target, findings=faults)
    return resource


def plain(body: Body) -> Body:
    """The resource without what the server sets itself: meta.versionId and meta.lastUpdated."""
    meta = body.get("meta")
    if not isinstance(meta, dict):
        if meta is not None:
            raise Problem(422, "structure", "meta 应为一个对象", "meta should be an object", f"{body['resourceType']}.meta")
        return body
    kept = {k: v for k, v in meta.items() if k not in ("versionId", "lastUpdated", "_versionId", "_lastUpdated")}
    rest = {k: v for k, v in body.items() if k != "meta"}
    return {**rest, "meta": kept} if kept else rest
