"""Conditional interactions, decided inside the writer's transaction (https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #3.1.0.7.1).

Claim before search (design/store.md, "Writers and readers"): the criteria, and the identifiers in criteria and body, are locked first; then
the search sees everything that earlier callers committed. Such a request has a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.store.api.asks import Ask, Denied, Wrote
from gateway.store.unit import Unit

__all__ = ["Conditions", "Find", "locks_of", "twice"]

Find = Callable[[str, str], Sequence[str]]
"""(type, criteria) -> ids of current resources that match, at most two."""
Fetch = Callable[[str, str], Wrote | None]
"""(type, id) -> the current version, None when there is none."""


@dataclass(slots=True)
class Conditions:
    """Decides every conditional ask of a request, then settles the placeholders of its Bundle. links: what bodies call an ask's resource
    (`urn:uuid:…`) -> which ask. rewrite: puts references in place of placeholders."""

    find: Find
    fetch: Fetch
    links: Mapping[str, int] = field(default_factory=dict)
    rewrite: Callable[[Any, Mapping[str, str]], Any] | None = None

    def __call__(self, unit: Unit, asks: Sequence[Ask]) -> Denied | None:
        """Decides; Denied when one of them cannot be done."""
        unit.raw.lock(name for ask in asks if ask.criteria for name in locks_of(ask))
        for ask in asks:
            denied = self._decide(ask) if ask.criteria else None
            if denied is not None:
                return denied
        if self.rewrite is not None:
            names = {text: f"{asks[n].type}/{asks[n].id}" for text, n in self.links.items()}
            for ask in asks:
                if ask.body is not None and ask.settled is None:
                    ask.body = self.rewrite(ask.body, names)
        return twice(asks)

    def _decide(self, ask: Ask) -> Denied | None:
        ids = self.find(ask.type, ask.criteria)
        if len(ids) > 1:
            return Denied("many", ask.type, place=ask.place)
        own = ask.body.get("id") if ask.body is not None else None
        if ask.kind == "create":
            found = self.fetch(ask.type, ids[0]) if ids else None
            if found is not None:
                ask.id, ask.settled = found.id, found
        elif ids:
            if ask.kind == "update" and own is not None and own != ids[0]:
                return Denied("id-differs", ask.type, ids[0], place=ask.place)
            ask.id, ask.minted = ids[0], False
        elif ask.kind == "delete":
            ask.id, ask.settled = "", Wrote(ask.type, "", 0, 0, "absent")
        elif isinstance(own, str):
            ask.id, ask.minted, ask.absent = own, False, True
        return None


def twice(asks: Sequence[Ask]) -> Denied | None:
    """R4: resolved identities must not overlap in a transaction."""
    seen: set[tuple[str, str]] = set()
    for ask in asks:
        name = (ask.type, ask.id)
        if ask.id and name in seen:
            return Denied("twice", ask.type, ask.id, place=ask.place)
        seen.add(name)
    return None


def locks_of(ask: Ask) -> Iterable[str]:
    """Names that stand for what a conditional ask may be about: its criteria, and the identifiers it speaks of."""
    yield f"criteria:{ask.type}?{ask.criteria}"
    for part in ask.criteria.split("&"):
        name, _, value = part.partition("=")
        if name.partition(":")[0] == "identifier":
            yield from (f"identifier:{ask.type}?{v}" for v in value.split(","))
    identifiers = ask.body.get("identifier") if ask.body is not None else None
    for i in identifiers if isinstance(identifiers, list) else [identifiers]:
        if isinstance(i, dict):
            yield f"identifier:{ask.type}?{i.get('system', '')}|{i.get('value', '')}"
