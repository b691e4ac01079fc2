"""How the contributions of several records make one resource (design/records.md, "Several records, one resource"). Pure functions.

`one`: the lowest (stamp, authority, key, tie). `latest`: the highest (by, stamp, authority, key, tie). `merge`: element by element, by
precedence of the authorities, then the newest. `api`: the newest word of a client stands alone until a person lets a record pass
(gateway/store/api/spoken.py). Every answer depends on the set of contributions alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.fhir.time import Interval, interval

__all__ = ["Contribution", "Precedence", "choice_root", "compose", "fold", "overlay"]

Body = dict[str, Any]

_CANONICAL = msgspec.json.Encoder(decimal_format="number", order="sorted")
_CHOICES = ("deceased", "multipleBirth", "onset", "abatement", "value", "effective", "occurrence", "performed", "medication", "asNeeded",
            "timing", "scheduled", "product", "reported", "serviced", "allowed", "used", "due", "born", "age", "defaultValue")  # fmt: skip
UNKNOWN = "unknown"
UNDER_WAY = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave"})
"""Encounter.status before the visit ends."""
_WHOLE = frozenset({"coding", "system", "value", "code", "reference", "url", "text", "family", "numerator", "low", "high"})
"""A dict with one of these is a value (CodeableConcept, Quantity, Reference ...): a later one replaces it whole."""


@dataclass(slots=True)
class Contribution:
    """What one record says of one resource: the body without id and version. present: its current version says it; otherwise an
    older version said it last. tie: the unit's digest, or the order of arrival for sources without stamps."""

    record: int
    authority: str
    key: str
    stamp: str
    tie: str
    compose: str
    by: str
    present: bool
    body: Body
    cleared: tuple[str, ...] = ()
    person: int = 0

    @property
    def age(self) -> tuple[str, str, str, str]:
        """Sorts contributions from oldest to newest, ties broken the same way everywhere."""
        return (self.stamp, self.authority, self.key, self.tie)


@dataclass(frozen=True, slots=True)
class Precedence:
    """`mappings/tables/precedence.csv`: whose word counts first for an element of a type; authorities not listed come last."""

    ranks: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def from_csv(cls, text: str) -> Precedence:
        """Reads `type,element,authorities` (authorities separated by `;`, `|` or blanks, the first counts first; element `*` = any)."""
        ranks: dict[tuple[str, str], dict[str, int]] = {}
        for row in csv.DictReader(io.StringIO(text)):
            named = (row.get("authorities") or "").replace(";", " ").replace("|", " ").split()
            ranks[(row["type"], row["element"])] = {a: i for i, a in enumerate(named)}
        return cls(ranks)

    def rank(self, type_: str, element: str, authority: str) -> int:
        """0 for the authority that counts first; the same high number for all that are not listed."""
        listed = self.ranks.get((type_, element)) or self.ranks.get((type_, "*"))
        return 1 << 30 if listed is None else listed.get(authority, 1 << 30)


def compose(type_: str, contributions: Sequence[Contribution], precedence: Precedence) -> Body:
    """The resource that the contributions make together; at least one is given. The way is that of the newest contribution that is
    not `one`, so that a record which does not know of sharing cannot take a shared resource for itself."""
    if len(contributions) == 1:
        return contributions[0].body
    kind = max((c.compose for c in contributions), key=("one", "latest", "merge", "api").index)
    if kind == "api":
        return max((c for c in contributions if c.compose == kind), key=lambda c: c.age).body
    if kind == "one":
        return min(contributions, key=lambda c: c.age).body
    if kind == "latest":
        return max(contributions, key=lambda c: (c.by, *c.age)).body
    return _merge(type_, contributions, precedence)


def fold(parts: Sequence[Body], cleared: Sequence[Sequence[str]]) -> Body:
    """What the versions of a `delta` record say together, oldest first: each adds or replaces the elements it says and empties those
    it clears."""
    whole: Body = {}
    for body, paths in zip(parts, cleared, strict=True):
        whole = overlay(*_continued(whole, body, paths))
        for path in paths:
            _clear(whole, path.split("."))
    return whole


def _continued(whole: Body, body: Body, cleared: Sequence[str]) -> tuple[Body, Body]:
    """A visit that has finished stays so when its admission is told again: a HIS that sends its ADT^A01 anew stamps it with the time of
    sending. Only an event that says so reopens it: one that begins after the end (its former end is then no more), or that empties the
    end (HL7 `""` in PV1-45). Other news of the event is taken all the same."""
    if whole.get("status") != "finished" or body.get("status") not in UNDER_WAY or "period.end" in cleared:
        return whole, body
    ended, began = _moment(whole, "end"), _moment(body, "start")
    if ended is not None and began is not None and began[0] > ended[1]:
        return {**whole, "period": {k: v for k, v in whole["period"].items() if k != "end"}}, body
    return whole, {k: v for k, v in body.items() if k != "status"}


def _moment(body: Body, element: str) -> Interval | None:
    value = body.get("period", {}).get(element)
    return interval(value) if value else None


def overlay(under: Body, over: Body) -> Body:
    """`under` with the elements that `over` says. Backbone elements and periods are joined; lists and values are replaced whole; another
    type of a choice (`valueString` after `valueQuantity`) replaces the former. A status `unknown` (an ADT^A08 after the discharge) says
    nothing against a known one."""
    joined = dict(under)
    for name, value in over.items():
        if name == "status" and value == UNKNOWN and name in joined:
            continue
        root = choice_root(name)
        for other in [n for n in joined if n != name and root is not None and choice_root(n) == root]:
            del joined[other]
        before = joined.get(name)
        if isinstance(before, dict) and isinstance(value, dict) and not _WHOLE & (before.keys() | value.keys()):
            joined[name] = overlay(before, value)
        else:
            joined[name] = value
    return joined


def choice_root(name: str) -> str | None:
    """`value` of `valueQuantity`; None when the element is no choice of types."""
    for root in _CHOICES:
        if name.startswith(root) and name[len(root) : len(root) + 1].isupper():
            return root
    return None


def _clear(body: Body, path: Sequence[str]) -> None:
    for step in path[:-1]:
        inner = body.get(step)
        if not isinstance(inner, dict):
            return
        body[step] = inner = dict(inner)
        body = inner
    body.pop(path[-1], None)
    if path[-1].endswith("[x]"):
        for name in [n for n in body if choice_root(n) == path[-1][:-3]]:
            del body[name]


def _merge(type_: str, contributions: Sequence[Contribution], precedence: Precedence) -> Body:
    newest_first = sorted(contributions, key=lambda c: c.age, reverse=True)
    named: dict[str, list[tuple[Contribution, str]]] = {}
    for c in newest_first:
        for name in c.body:
            named.setdefault(choice_root(name) or name, []).append((c, name))
    merged: Body = {}
    for root in sorted(named, key=lambda r: (r != "resourceType", r != "meta", r)):
        said = sorted(named[root], key=lambda cn: precedence.rank(type_, root, cn[0].authority))  # stable: newest stays first
        if root == "status":
            said.sort(key=lambda cn: cn[0].body[cn[1]] == UNKNOWN)
        first, name = said[0]
        if isinstance(first.body[name], list):
            merged[name] = _union(root, [(c, c.body[n]) for c, n in said if n == name and isinstance(c.body[n], list)])
        elif root == "meta":
            merged[name] = _meta([c.body[n] for c, n in said])
        else:
            merged[name] = first.body[name]
    return merged


def _union(element: str, said: Iterable[tuple[Contribution, list[Any]]]) -> list[Any]:
    """Lists of several records as one: identifiers and telecoms of all of them; of other lists the newest of each authority. What has
    the same key (system and value; url of an extension; else the whole content) stands once, as the first says it."""
    heard: set[str] = set()
    found: dict[Any, Any] = {}
    for c, items in said:
        if element not in ("identifier", "telecom"):
            if c.authority in heard:
                continue
            heard.add(c.authority)
        for item in items:
            found.setdefault(_key(element, item), item)
    return list(found.values())


def _key(element: str, item: Any) -> Any:
    if isinstance(item, dict):
        if element in ("identifier", "telecom"):
            return (item.get("system"), item.get("value"))
        if element == "extension":
            return item.get("url")
    return _CANONICAL.encode(item)


def _meta(said: Sequence[Body]) -> Body:
    """meta of all records: lists such as profile are united, other elements are the first's."""
    joined: Body = {}
    for meta in said:
        for name, value in meta.items():
            if isinstance(value, list):
                joined[name] = joined.get(name, []) + [v for v in value if v not in joined.get(name, [])]
            else:
                joined.setdefault(name, value)
    return joined
