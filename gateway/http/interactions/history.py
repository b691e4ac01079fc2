"""Versions of one resource, of a type, or of everything, newest first.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

import msgspec

from gateway.fhir.bundle import bundle
from gateway.fhir.json import encode
from gateway.fhir.time import CHINA, interval
from gateway.http.call import Call, Reply
from gateway.http.ids import allotted
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.stored import unknown
from gateway.http.versions import etag, instant
from gateway.store.reads import Asked, Place, Version

CURSOR = "_cursor"
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A column's value in a cursor, which anybody may write."""
DEFAULT, MOST = 20, 1000
KNOWN = frozenset({"_since", "_at", "_count", "_format", "_pretty", "_summary", "_elements", CURSOR})


@interaction("history-instance", "instance", "GET", "T/i/_history", lasting=True)
async def history_instance(call: Call) -> Reply:
    """200 with a Bundle of type `history`; 404 when there never was such a resource."""
    total = await call.backend.reading(lambda: call.backend.reads.versions(call.type, call.id, call.scope))
    if not total:
        raise unknown(call)
    narrowed = any(k in ("_since", "_at") for k, _ in call.query)
    return await _history(call, None if narrowed else total)


@interaction("history-type", "type", "GET", "T/_history", lasting=True)
async def history_type(call: Call) -> Reply:
    """200 with the versions of all resources of a type."""
    return await _history(call, None)


@interaction("history-system", "system", "GET", "_history", lasting=True)
async def history_system(call: Call) -> Reply:
    """200 with the versions of all resources."""
    return await _history(call, None)


async def _history(call: Call, total: int | None) -> Reply:
    asked = _asked(call)
    found = await call.backend.reading(lambda: call.backend.reads.history(asked, call.scope))
    shown = found[: asked.count]
    links = [("self", _link(call, None))]
    if len(found) > asked.count and shown:
        links.append(("next", _link(call, shown[-1].place)))
    entries = [_entry(call.root, v) for v in shown]
    return Reply(200, bundle("history", entries, total=total, link=[{"relation": r, "url": u} for r, u in links]))


def _asked(call: Call) -> Asked:
    unknown_ = [k for k, _ in call.query if k not in KNOWN]
    if unknown_ and call.prefers("handling") == "strict":
        raise Problem(
            400, "not-supported", f"_history 没有这些参数: {'、'.join(unknown_)}", f"_history has no such parameters: {', '.join(unknown_)}"
        )
    since, at = call.asked("_since"), call.asked("_at")
    return Asked(
        call.type,
        call.id,
        _moments(since, "_since")[0] if since else None,
        _moments(at, "_at") if at else None,
        _place(call.asked(CURSOR)) if call.asked(CURSOR) else None,
        _count(call.asked("_count")),
    )


def _moments(text: str, name: str) -> tuple[int, int]:
    """First and last µs of a date or instant. Problem 400."""
    found = interval(text.replace(" ", "+"), CHINA)
    if found is None:
        zh = f"{name} 应为日期或时刻, 例如 2026-01-31T08:00:00+08:00"
        raise Problem(400, "value", zh, f"{name} should be a date or instant, for example 2026-01-31T08:00:00+08:00", name)
    return found


def _count(text: str) -> int:
    if not text:
        return DEFAULT
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise Problem(400, "value", "_count 应为不小于 0 的整数", "_count should be a whole number", "_count")
    return min(int(text), MOST)


def _place(text: str) -> Place:
    try:
        seq, rid, version = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=tuple[Number, Number, Number])
    except (ValueError, msgspec.MsgspecError):
        raise Problem(400, "value", "翻页标记无效; 请从第一页重新读取", "The page mark is not valid; begin with the first page", CURSOR) from None
    return Place(seq, rid, version)


def _link(call: Call, place: Place | None) -> str:
    pairs: Sequence[tuple[str, str]] = [(k, v) for k, v in call.query if k != CURSOR and k in KNOWN]
    if place is not None:
        pairs = [*pairs, (CURSOR, base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("="))]
    elif call.asked(CURSOR):
        pairs = [*pairs, (CURSOR, call.asked(CURSOR))]
    return call.here + ("?" + urlencode(pairs) if pairs else "")


def _entry(root: str, v: Version) -> bytes:
    """One version with the request that made it: ids that the API allotted were created by POST, all others by PUT."""
    name = f"{v.type}/{v.id}"
    first = v.version == 1 and allotted(v.id)
    method = "DELETE" if v.deleted else "POST" if first else "PUT"
    status = "204 No Content" if v.deleted else "201 Created" if v.version == 1 else "200 OK"
    request = encode({"method": method, "url": v.type if first else name})
    response = encode({"status": status, "etag": etag(v.version), "lastModified": instant(v.time)})
    resource = b"" if v.deleted else b',"resource":' + v.content
    return b'{"fullUrl":' + encode(f"{root}/{name}") + resource + b',"request":' + request + b',"response":' + response + b"}"
