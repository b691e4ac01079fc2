"""Everything that is known of a Patient or an Encounter: its compartment, and what that refers to; a page at a time.

https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.fhir.bundle import bundle
from gateway.fhir.elements import load
from gateway.fhir.json import decode, encode
from gateway.fhir.time import CHINA, MAX, MIN, interval
from gateway.http.call import Call, Reply
from gateway.http.parameters import given, only_known
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.searching import CURSOR, page_of, query_text
from gateway.http.shaping import cut
from gateway.http.stored import current
from gateway.store.api.mentions import named
from gateway.store.search import Compartment, Found

KNOWN = frozenset({"start", "end", "_since", "_type", "_count", "_format", "_pretty", "_summary", "_elements", CURSOR})
DEFAULT = "50"
"""Resources of a page, when the client does not say."""
NARROW = ("_since", "_type", "_count")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of it. types: none for all. first, last: care dates (µs), by a resource's main date; resources without one always count."""

    types: frozenset[str]
    first: int
    last: int


@operation("everything", "instance", types=("Patient",), definition="http://hl7.org/fhir/OperationDefinition/Patient-everything")
@operation("everything", "instance", types=("Encounter",), definition="http://hl7.org/fhir/OperationDefinition/Encounter-everything")
async def everything(call: Call) -> Reply:
    """200 with a searchset: on the first page the resource itself, then its compartment by pages; what they refer to comes as `include`.
    404 or 410 when there is no such resource."""
    call.query = given(call)
    only_known(call, call.query, KNOWN)
    version, time, content = await current(call)
    own = Found(0, call.type, call.id, version, time, content)
    return Reply(200, await asyncio.to_thread(_page, call, own), shaped=True)


def _page(call: Call, own: Found) -> bytes:
    wanted = _wanted(call)
    pairs = [("_count", call.asked("_count") or DEFAULT)]
    members = load().compartment(call.type)
    if wanted.types:
        pairs.append(("_type", ",".join(sorted(t for t in wanted.types if t in members)) or call.type))
    if call.asked("_since"):
        pairs.append(("_lastUpdated", "ge" + call.asked("_since").replace(" ", "+")))
    page = page_of(call, "", pairs, Compartment(call.type, call.id))
    rows = [row for row in page.rows if row[1:3] != own[1:3] and _in_time(call, row, wanted)]
    first = not call.asked(CURSOR) and (not wanted.types or call.type in wanted.types)
    shown = [own, *rows] if first else rows
    thin = cut(call)
    entries = [_entry(call, row, b"match", thin(row.content) if thin is not None else row.content) for row in shown]
    entries += [_entry(call, row, b"include", thin(row.content) if thin is not None else row.content) for row in _referred(call, own, shown, wanted)]
    kept = [(k, v) for k, v in call.query if k in KNOWN and k != CURSOR]
    links = [{"relation": "self", "url": call.here + query_text(kept)}]
    if page.next is not None:
        links.append({"relation": "next", "url": call.here + query_text([*kept, (CURSOR, page.next)])})
    return bundle("searchset", entries, link=links)


def _wanted(call: Call) -> Wanted:
    types = frozenset(t for k, v in call.query if k == "_type" for t in v.split(",") if t)
    return Wanted(types, _moment(call, "start", MIN, 0), _moment(call, "end", MAX, 1))


def _moment(call: Call, name: str, default: int, end: int) -> int:
    text = call.asked(name)
    if not text:
        return default
    found = interval(text, CHINA)
    if found is None:
        raise Problem(400, "value", f"{name} 应为日期, 例如 2026-01-31", f"{name} should be a date, for example 2026-01-31", name)
    return found[end]


def _in_time(call: Call, row: Found, wanted: Wanted) -> bool:
    if wanted.first == MIN and wanted.last == MAX:
        return True
    t = call.backend.site.indexer.entries(row.type, decode(row.content)).t
    return t == MIN or wanted.first <= t <= wanted.last


def _referred(call: Call, own: Found, shown: Sequence[Found], wanted: Wanted) -> Iterator[Found]:
    """What the page's resources refer to, each once, without what belongs to the compartment anyway."""
    seen = {(row.type, row.id) for row in shown} | {(own.type, own.id)}
    for row in shown:
        for name in named(decode(row.content)):
            if name in seen or (wanted.types and name[0] not in wanted.types):
                continue
            seen.add(name)
            found = call.backend.reads.current(*name, call.scope)
            if found is not None and not found[2]:
                yield Found(0, *name, found[0], found[1], found[3])


def _entry(call: Call, row: Found, mode: bytes, content: bytes) -> bytes:
    return b'{"fullUrl":' + encode(f"{call.root}/{row.type}/{row.id}") + b',"resource":' + content + b',"search":{"mode":"' + mode + b'"}}'
