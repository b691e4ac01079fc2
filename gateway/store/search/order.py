"""Sort keys: what each reads of a resource, how places compare (https://hl7.org/fhir/R4/search.html#sort).

A resource with several values stands at its least one (ascending) or its greatest (descending); one without a value stands last. Dates
count from their first moment. Without `_sort`: the type's main date, newest first, then rid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.fhir.query import SortKey
from gateway.store.index.folding import normalised
from gateway.store.index.keys import Field, Indexer, Plan
from gateway.store.index.match.row import Row
from gateway.store.index.reading import extracted
from gateway.store.index.spans import unpack
from gateway.store.search.cursor import Place, Value

__all__ = ["Held", "Key", "Order", "order_of"]


@dataclass(frozen=True, slots=True)
class Held:
    """A resource while it is sorted. id, body: only when a key reads them."""

    row: Row
    id: str = ""
    body: Mapping[str, Any] | None = None


Read = Callable[[Held], Value]


@dataclass(frozen=True, slots=True)
class Key:
    """One sort key. by: `t` (main date), `time` (_lastUpdated), `id`, `row` (an index row tells) or `body` (the resource itself does).
    read: by the type's `updated` key."""

    code: str
    by: str
    descending: bool
    read: Mapping[int, Read]


@dataclass(slots=True)
class _Down:
    """A text in descending order."""

    text: str

    def __lt__(self, other: _Down) -> bool:
        return other.text < self.text


@dataclass(frozen=True, slots=True)
class Order:
    """All sort keys of a search; ignored: those that R4 does not know, as `_sort=code`."""

    keys: tuple[Key, ...]
    ignored: tuple[str, ...] = field(default=())

    @property
    def first(self) -> Key:
        """The key that may be streamed."""
        return self.keys[0]

    def place(self, held: Held) -> Place:
        """Where a resource stands."""
        return Place(tuple(key.read[held.row.updated](held) for key in self.keys), held.row.rid)

    def rank(self, place: Place) -> tuple[Any, ...]:
        """What places are compared by."""
        ranked: list[Any] = []
        for value, key in zip(place.values, self.keys, strict=True):
            if value is None:
                ranked.append((1, 0))
            elif isinstance(value, str):
                ranked.append((0, _Down(value) if key.descending else value))
            else:
                ranked.append((0, -value if key.descending else value))
        return *ranked, -place.rid if self.first.descending else place.rid

    def beyond(self, place: Place, after: Place | None) -> bool:
        """Whether a place stands behind another."""
        return after is None or self.rank(place) > self.rank(after)


def order_of(indexer: Indexer, plans: Sequence[Plan], sort: Iterable[SortKey]) -> Order:
    """The order that was asked for; keys that one of the types does not know are put aside."""
    keys: list[Key] = []
    ignored: list[str] = []
    for asked in sort:
        key = _key(indexer, plans, asked)
        if key is None:
            ignored.append(f"_sort={asked.code}")
        else:
            keys.append(key)
    if not keys:
        keys.append(Key("", "t", True, {plan.updated_key: _t for plan in plans}))
    return Order(tuple(keys), tuple(ignored))


def _t(held: Held) -> Value:
    return held.row.t


def _time(held: Held) -> Value:
    return held.row.time


def _id(held: Held) -> Value:
    return held.id


def _key(indexer: Indexer, plans: Sequence[Plan], asked: SortKey) -> Key | None:
    code, down = asked.code, asked.descending
    own = {"_lastUpdated": ("time", _time), "_id": ("id", _id)}.get(code)
    if own is not None:
        return Key(code, own[0], down, {plan.updated_key: own[1] for plan in plans})
    fields = [plan.fields.get(code) for plan in plans]
    known = [found for found in fields if found is not None]
    if len(known) < len(plans):
        return None
    if all(plan.main and {s for s, _ in found.slots} == plan.main for plan, found in zip(plans, known, strict=True)):
        return Key(code, "t", down, {plan.updated_key: _t for plan in plans})
    reads = [_reader(indexer, plan, found, down) for plan, found in zip(plans, known, strict=True)]
    by = "body" if any(kind == "body" for kind, _ in reads) else "row"
    return Key(code, by, down, {plan.updated_key: read for plan, (_, read) in zip(plans, reads, strict=True)})


def _reader(indexer: Indexer, plan: Plan, found: Field, down: bool) -> tuple[str, Read]:
    """(what it reads, how) of one parameter of one type."""
    best = max if down else min
    slots = [slot for slot, _ in found.slots]
    kind = found.parameter.type
    if kind == "date":
        dates = {slot.dates for slot in slots}
        return "row", lambda held: best((first for key, first, _ in unpack(held.row.spans) if key in dates), default=None)
    if kind in ("quantity", "number"):
        amounts = {indexer.key(slot.name, "amount") for slot in slots}
        return "row", lambda held: best((low if not down else high for key, low, high in unpack(held.row.amounts) if key in amounts), default=None)
    if kind == "string":
        texts = {indexer.key(slot.name, "text") for slot in slots}
        return "row", lambda held: best((normalised(t) for key, t in _texts(held.row) if key in texts), default=None)
    read = extracted(indexer.r4, plan.type, found.parameter.expression)
    return "body", lambda held: best((text for _, _, value in read(held.body or {}) for text in _words(value)), default=None)


def _texts(row: Row) -> list[tuple[int, str]]:
    return msgspec.json.decode(row.texts, type=list[tuple[int, str]]) if row.texts else []


def _words(value: Any) -> list[str]:
    """The text that a token, reference or uri is sorted by."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict):
        return []
    codings = value.get("coding")
    if isinstance(codings, list):
        return [c["code"] for c in codings if isinstance(c, dict) and isinstance(c.get("code"), str)] or _words(value.get("text"))
    found = next((v for n in ("code", "value", "reference", "display") if isinstance(v := value.get(n), str)), None)
    return [] if found is None else [found]
