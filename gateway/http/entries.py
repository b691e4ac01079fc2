"""Entries of a batch or transaction as requests of their own, and their answers (https://hl7.org/fhir/R4/bundle.html#Bundle.entry.request)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from gateway.fhir.bundle import bundle
from gateway.fhir.json import encode
from gateway.http.call import FHIR_JSON, Call, Reply
from gateway.http.problems import Problem
from gateway.http.versions import instant

__all__ = ["Entry", "answered", "entries_of", "entry_of", "phrase", "response"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
HEADERS = {"ifMatch": "if-match", "ifNoneMatch": "if-none-match", "ifModifiedSince": "if-modified-since", "ifNoneExist": "if-none-exist"}
KEPT = ("accept-language", "prefer", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")
"""Headers of the Bundle's request that hold for its entries."""


@dataclass(slots=True)
class Entry:
    """One entry. at: its position from 0. call: its request, with the resource still decoded."""

    at: int
    call: Call
    full_url: str


def entries_of(call: Call, body: dict[str, Any]) -> list[Entry]:
    """The entries of a Bundle. Problem 400 names the first that is none."""
    found = body.get("entry", [])
    if not isinstance(found, list):
        raise Problem(400, "structure", "Bundle.entry 应为一个列表", "Bundle.entry should be a list", "Bundle.entry")
    return [entry_of(call, n, e) for n, e in enumerate(found)]


def entry_of(call: Call, at: int, entry: Any) -> Entry:
    """One entry as a request."""
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise _wrong(at, "request", "应有 request(method 与 url)", "should have a request with method and url")
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in METHODS:
        raise _wrong(at, "request.method", f"应为 {'、'.join(sorted(METHODS))} 之一", f"should be one of {', '.join(sorted(METHODS))}")
    if not isinstance(url, str):
        raise _wrong(at, "request.url", "应为相对地址, 例如 Patient/1", "should be a relative address, for example Patient/1")
    resource = entry.get("resource")
    if resource is not None and not isinstance(resource, dict):
        raise _wrong(at, "resource", "应为一个资源", "should be a resource")
    path, _, query = url.removeprefix(call.root).strip("/").partition("?")
    headers = {k: v for k, v in call.headers.items() if k in KEPT} | {"accept": FHIR_JSON, "content-type": FHIR_JSON}
    headers |= {HEADERS[k]: str(v) for k, v in request.items() if k in HEADERS}
    own = replace(
        call,
        method=method,
        path=tuple(unquote(p) for p in path.split("/")) if path else (),
        query=parse_qsl(query, keep_blank_values=True),
        headers=headers,
        body=b"",
        resource=resource,
    )
    full_url = entry.get("fullUrl")
    return Entry(at, own, full_url if isinstance(full_url, str) else "")


def _wrong(at: int, where: str, zh: str, en: str) -> Problem:
    return Problem(400, "structure", f"Bundle.entry[{at}].{where} {zh}", f"Bundle.entry[{at}].{where} {en}", f"Bundle.entry[{at}].{where}")


def phrase(status: int) -> str:
    """`201 Created`."""
    return f"{status} {HTTPStatus(status).phrase}"


def response(call: Call, reply: Reply, *, resource: bool) -> bytes:
    """One entry of the answer. resource: the reply's content stands in it."""
    said: dict[str, Any] = {"status": phrase(reply.status)}
    location = reply.headers.get("Location")
    if location is not None:
        said["location"] = location.removeprefix(call.root + "/")
    if "ETag" in reply.headers:
        said["etag"] = reply.headers["ETag"]
    if reply.moment:
        said["lastModified"] = instant(reply.moment)
    if reply.status >= 400:
        return b'{"response":' + encode(said)[:-1] + b',"outcome":' + reply.content + b"}}"
    if not resource or not reply.content or reply.media:
        return b'{"response":' + encode(said) + b"}"
    return b'{"resource":' + reply.content + b',"response":' + encode(said) + b"}"


def answered(type_: str, entries: Sequence[bytes]) -> Reply:
    """The Bundle of answers, in the order of the entries."""
    return Reply(200, bundle(type_, entries), shaped=True)
