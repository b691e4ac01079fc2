"""What is in somebody's compartment, and what that refers to, as $everything gathers it (https://hl7.org/fhir/R4/compartmentdefinition.html)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.fhir.elements import load
from gateway.fhir.json import decode
from gateway.fhir.time import CHINA, MAX, MIN, interval
from gateway.http.call import Call
from gateway.http.problems import Problem
from gateway.http.searching import page_of
from gateway.store.api.mentions import named
from gateway.store.search import Compartment, Found

__all__ = ["Wanted", "members", "referred", "wanted_of"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of it. types: none for all. since: written from then on (µs; said: as the client wrote it). first, last: care dates (µs), by a
    resource's main date; resources without one always count."""

    types: frozenset[str]
    since: int
    said: str
    first: int
    last: int

    def type(self, name: str) -> bool:
        """Whether resources of a type are wanted."""
        return not self.types or name in self.types


def wanted_of(call: Call) -> Wanted:
    """What the parameters of the call ask for. Problem 400."""
    types = frozenset(t for k, v in call.query if k == "_type" for t in v.split(",") if t)
    since = call.asked("_since").replace(" ", "+")
    return Wanted(types, _moment(call, "_since", MIN, 0), since, _moment(call, "start", MIN, 0), _moment(call, "end", MAX, 1))


def _moment(call: Call, name: str, default: int, end: int) -> int:
    text = call.asked(name).replace(" ", "+")  # an unescaped + of a URL is a blank
    if not text:
        return default
    found = interval(text, CHINA)
    if found is None:
        raise Problem(400, "value", f"{name} 应为日期, 例如 2026-01-31", f"{name} should be a date, for example 2026-01-31", name)
    return found[end]


def members(call: Call, owner: Found, wanted: Wanted, count: str, cursor: str) -> tuple[list[Found], str | None]:
    """A page of a compartment without its owner, and the cursor of the next one (None: that was all)."""
    pairs = [("_count", count)]
    inside = load().compartment(owner.type)
    if wanted.types:
        pairs.append(("_type", ",".join(sorted(t for t in wanted.types if t in inside)) or owner.type))
    if wanted.said:
        pairs.append(("_lastUpdated", "ge" + wanted.said))
    page = page_of(call, "", pairs, Compartment(owner.type, owner.id), cursor)
    return [row for row in page.rows if row[1:3] != owner[1:3] and _in_time(call, row, wanted)], page.next


def _in_time(call: Call, row: Found, wanted: Wanted) -> bool:
    if wanted.first == MIN and wanted.last == MAX:
        return True
    t = call.backend.site.indexer.entries(row.type, decode(row.content)).t
    return t == MIN or wanted.first <= t <= wanted.last


def referred(call: Call, shown: Sequence[Found], besides: set[tuple[str, str]], wanted: Wanted) -> Iterator[Found]:
    """What these resources refer to, each once; none of them, and none that stands in `besides` (type, id)."""
    seen = {(row.type, row.id) for row in shown} | besides
    for row in shown:
        for name in named(decode(row.content)):
            if name in seen or not wanted.type(name[0]):
                continue
            seen.add(name)
            found = call.backend.reads.current(*name, call.scope)
            if found is not None and not found[2]:
                yield Found(0, *name, found[0], found[1], found[3])
