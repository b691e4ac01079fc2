"""A change of parts of a resource: JSON Patch, FHIRPath Patch or JSON Merge Patch.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from gateway.errors import Refused
from gateway.fhir.json import decode
from gateway.fhir.patch import apply_fhirpath_patch, apply_json_patch, apply_merge_patch
from gateway.http.call import Call, Reply
from gateway.http.criteria import canonical, find_now
from gateway.http.negotiate import media_of, parsed
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.resources import checked
from gateway.http.stored import current
from gateway.http.versions import asked_version
from gateway.http.writing import denied, write
from gateway.store.api.asks import Ask, Denied

__all__ = ["TRIES", "conditional_patch", "patch", "patch_of"]

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
TRIES = 8
"""A resource that others change meanwhile is read and patched again so often, when the client named no version."""
Body = dict[str, Any]


@interaction("patch", "instance", "PATCH", "T/i")
async def patch(call: Call) -> Reply:
    """200 with the resource as it is then; 404 or 410 when there is none, 412 against If-Match, 422 when an operation cannot be done."""
    for attempt in range(TRIES):
        ask = await patch_of(call)
        try:
            return await write(call, ask)
        except Problem as fault:
            if fault.status != 412 or "if-match" in call.headers or attempt == TRIES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


@interaction("", "type", "PATCH", "T")
async def conditional_patch(call: Call) -> Reply:
    """The same of the resource that the criteria match; 404 when none does, 412 when several do."""
    await _named(call)
    return await patch(call)


async def _named(call: Call) -> None:
    """Puts the id of the one match into the call."""
    ids = await find_now(call, call.type, canonical(urlencode(call.query)))
    if len(ids) != 1:
        raise denied(Denied("many" if ids else "unmatched", call.type))
    call.id = ids[0]


async def patch_of(call: Call) -> Ask:
    """The update that the patch comes to, bound to the version that it was worked out from."""
    if not call.id:
        await _named(call)
    change = _change(call)
    version, _, content = await current(call)
    wanted = asked_version(call)
    if wanted is not None and wanted != version:
        raise denied(Denied("version", call.type, call.id, version))
    try:
        changed = change(decode(content))
    except Refused as e:
        f = e.finding
        status, code = (400, "structure") if f.code == "bad-patch" else (422, "processing")
        raise Problem(status, code, f.message, f"The patch was refused: {f.code} {f.source}".strip(), f.target) from None
    return Ask("update", call.type, call.id, checked(changed), version)


def _change(call: Call) -> Callable[[Body], Body]:
    """What the body does to a resource. Problem 415 for another media type."""
    if call.resource is not None:
        return _of_entry(call.resource)
    media = _meant(call)
    if media in (JSON_PATCH, MERGE_PATCH):
        change = _json(call.body)
        apply = apply_json_patch if media == JSON_PATCH else apply_merge_patch
        return lambda resource: apply(resource, change)
    if media_of(call.header("content-type")) in ("json", "xml"):
        parameters = parsed(call)
        return lambda resource: apply_fhirpath_patch(resource, parameters)
    zh = f"PATCH 的请求体应为 {JSON_PATCH}、{MERGE_PATCH}, 或 FHIR 的 Parameters(FHIRPath Patch)"
    en = f"The body of a PATCH should be {JSON_PATCH}, {MERGE_PATCH}, or Parameters in a FHIR format (FHIRPath Patch)"
    raise Problem(415, "not-supported", zh, en)


def _meant(call: Call) -> str:
    """The media type of the body; plain `application/json` is what its content is: a list of operations, or an object that is no resource."""
    media = call.header("content-type").partition(";")[0].strip().lower()
    if media != "application/json":
        return media
    body = _json(call.body)
    if type(body) is list:
        return JSON_PATCH
    return MERGE_PATCH if type(body) is dict and "resourceType" not in body else media


def _of_entry(resource: Body) -> Callable[[Body], Body]:
    """The patch in an entry: Parameters, or a Binary that holds a JSON Patch."""
    if resource.get("resourceType") != "Binary":
        return lambda target: apply_fhirpath_patch(target, resource)
    try:
        operations = _json(base64.b64decode(str(resource.get("data", "")), validate=True))
    except (binascii.Error, ValueError):
        raise Problem(
            400, "structure", "Binary.data 应为 base64 的 JSON Patch", "Binary.data should be a JSON Patch in base64", "Binary.data"
        ) from None
    return lambda target: apply_json_patch(target, operations)


def _json(body: bytes) -> Any:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "structure", "请求体不是合法的 JSON(UTF-8)", "The body is not JSON in UTF-8") from None
