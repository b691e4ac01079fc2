"""What a resource can be found by: pure extraction of index entries from its JSON.

A *slot* is one branch of a search expression of one type (`Observation.subject`, as reference). Parameters are unions of slots, so those
that share an expression (subject and patient, code and combo-code) share keys. A key is an even 64-bit hash of (slot, form, value).
https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any

import msgspec

from gateway.fhir.elements import R4, load
from gateway.fhir.parameters import SearchParameter, branches
from gateway.fhir.path import Extractor
from gateway.fhir.time import CHINA, MIN
from gateway.store.index.recent import remembering
from gateway.store.index.slots import Draft, Keys, Slot, Use
from gateway.store.index.spans import pack, packed
from gateway.store.index.values import encoder

__all__ = ["Entries", "Indexer", "Plan", "Slot", "default_indexer"]

KEY = b"yifang search index 1"
FORMAT = 3
"""Grows whenever the entries of a resource change; a database of an older one is indexed anew when it is opened (gateway/store/reindex.py)."""
KINDS = {"token", "reference", "date", "string", "quantity", "number", "uri"}
MAIN_DATES = (
    "date", "authoredon", "authored", "authored-on", "onset-date", "collected", "recorded", "sent", "effective", "effective-time",
    "birthdate", "period",
)  # fmt: skip
WORKFLOW = {"Task", "ServiceRequest", "Appointment", "CommunicationRequest", "MedicationRequest", "CarePlan", "Subscription"}
"""Types of which every status is posted: boards and work lists ask for one status among many resources."""
USUAL = {
    "status": frozenset({"final", "completed", "finished", "active", "current", "available"}),
    "clinical-status": frozenset({"active"}),
    "verification-status": frozenset({"confirmed"}),
    "interpretation": frozenset({"N", "A", "H", "L"}),
}
"""Codes that most resources have; every other code of these parameters is posted: what is amended, in progress, refuted or critical is rare."""
UNSELECTIVE = {"category", "class", "type", "_tag", "_security", "_profile", "_source", "value-string", "language", "use"}
"""Parameters whose values are shared by so many resources that a posting would not help; they only filter."""
OWN_COLUMN = {"_id", "_lastUpdated"}
"""Parameters that are answered from columns of the store, not from keys."""
DAY = 86_400_000_000
_TARGET = re.compile(r"\.where\(\s*resolve\(\)\s+is\s+(\w+)\s*\)")


@dataclass(frozen=True, slots=True)
class Field:
    """A search parameter of one type: its slots, each with the type that a reference must name ("" = any)."""

    parameter: SearchParameter
    slots: tuple[tuple[Slot, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one type is indexed. extract: puts what a resource holds into a draft. main: slots of the date that orders its resources."""

    type: str
    fields: Mapping[str, Field]
    extract: Callable[[Mapping[str, Any], Draft], None]
    main: frozenset[Slot]
    type_key: int
    updated_key: int


@dataclass(slots=True)
class Entries:
    """Everything the index keeps of one resource, in the shapes of `tables.py`.

    t: first µs of its main date (MIN when it has none). long: that date covers more than a day. posted: keys with postings.
    """

    t: int
    long: bool
    posted: list[int]
    keys: bytes
    spans: bytes
    amounts: bytes
    texts: bytes | None
    strings: list[tuple[int, str]]
    identifiers: list[tuple[int, str, str]]
    updated_key: int

    @property
    def posting_keys(self) -> list[int]:
        """Keys as postings carry them: odd for resources whose main date is long."""
        return [k | 1 for k in self.posted] if self.long else self.posted


class Indexer:
    """Makes entries of resources, and the keys that a search asks for. One per process; pure.

    key: of the hash; the same for all who write and read one database. zone: of dates without one. base: this server's FHIR base,
    absolute references below it count as relative.
    """

    def __init__(self, r4: R4, *, key: bytes = KEY, zone: tzinfo = CHINA, base: str = "") -> None:
        self.r4 = r4
        self.keys = Keys(key, zone, base)
        self.key = self.keys.key
        self._plans: dict[str, Plan] = {}

    @property
    def digest(self) -> str:
        """By what entries are made, as `format:digest`: the format, the site's own parameters, the zone and the base."""
        own = repr((self.r4.own, str(self.keys.zone), self.keys.base)).encode()
        return f"{FORMAT}:{hashlib.sha256(own).hexdigest()}"

    def plan(self, type_: str) -> Plan:
        """How a type is indexed, made once. Raises KeyError for what is no resource type."""
        plan = self._plans.get(type_)
        if plan is None:
            plan = self._plans[type_] = self._plan(type_)
        return plan

    def entries(self, type_: str, resource: Mapping[str, Any]) -> Entries:
        """Index entries of a resource. Values that are not what R4 says are passed over: they cannot be found, and stop nothing."""
        plan = self._plans.get(type_) or self.plan(type_)
        draft = Draft()
        plan.extract(resource, draft)
        draft.posted.append(plan.type_key)
        posted = list(dict.fromkeys(draft.posted))
        first, long, main = MIN, False, draft.main
        if main:
            first = main[0][0] if len(main) == 1 else min(start for start, _ in main)
            long = len(main) > 1 or main[0][1] - first >= DAY
        return Entries(
            first,
            long,
            posted,
            packed(posted) + b"".join(dict.fromkeys(draft.keys)),
            pack(draft.spans) if draft.spans else b"",
            pack(dict.fromkeys(draft.amounts)) if draft.amounts else b"",
            msgspec.json.encode(draft.texts) if draft.texts else None,
            list(draft.strings),
            list(draft.identifiers),
            plan.updated_key,
        )

    def _plan(self, type_: str) -> Plan:
        """Slots and parameters of a type, from the search parameters of R4 that have an expression."""
        slots: dict[str, Slot] = {}
        expressions: list[tuple[Slot, str]] = []
        fields: dict[str, Field] = {}
        for code, parameter in sorted(self.r4.search(type_).items()):
            if parameter.type not in KINDS or code in OWN_COLUMN:
                continue
            own: list[tuple[Slot, str]] = []
            for branch in branches(parameter.expression):
                target = _TARGET.search(branch)
                path = _TARGET.sub("", branch).strip()
                kind = "quantity" if parameter.type == "number" else parameter.type
                name = f"{type_}:{path.strip('()')}#{kind}"
                if name not in slots:
                    slots[name] = self._slot(type_, name, kind, path)
                    expressions.append((slots[name], path))
                own.append((slots[name], target.group(1) if target else ""))
            if own:  # `_text` and the like have no expression
                fields[code] = Field(parameter, tuple(own))
        main = next((fields[d] for d in MAIN_DATES if d in fields and fields[d].parameter.type == "date"), None)
        dates = frozenset(slot for slot, _ in main.slots) if main else frozenset()
        return Plan(
            type=type_,
            fields=fields,
            extract=Extractor(self.r4, type_, expressions).into(
                lambda gives: encoder(self.keys, [Use(slot, of, slot in dates, test) for slot, of, test in gives]), remembering
            ),
            main=dates,
            type_key=self.key(type_, "type"),
            updated_key=self.key(type_, "_lastUpdated"),
        )

    def _slot(self, type_: str, name: str, kind: str, path: str) -> Slot:
        """A slot, with what its element says of selectivity: codes and booleans filter only, but for a status."""
        codes = {c for c, p in self.r4.search(type_).items() if path in map(_bare, branches(p.expression))}
        element = self.r4.at(path.strip("()"))
        primitive = element is not None and bool({"code", "boolean"} & set(element.types))
        selective = not codes & UNSELECTIVE and (not primitive or "status" in codes)
        usual = frozenset[str]().union(*(USUAL.get(c, ()) for c in codes)) if type_ not in WORKFLOW else frozenset[str]()
        bound = self.r4.codes(element.binding.valueset) if element is not None and element.binding and primitive else None
        named = "identifier" in codes
        return Slot(
            name=name,
            kind=kind,
            posted=selective and kind in ("token", "reference", "uri") and not named,
            table=named or (selective and (kind == "string" or (kind == "uri" and not any(c.startswith("_") for c in codes)))),
            systems={code: system for system, code in bound or ()},
            present=self.key(name, "present"),
            dates=self.key(name, "date"),
            usual=usual,
            whole="code" in codes,
        )


def _bare(branch: str) -> str:
    return _TARGET.sub("", branch).strip()


@lru_cache(maxsize=1)
def default_indexer() -> Indexer:
    """The indexer of the built-in R4 table."""
    return Indexer(load())
