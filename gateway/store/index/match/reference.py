"""References: `Type/id`, `id`, absolute, canonical, by identifier (https://hl7.org/fhir/R4/search.html#reference)."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.fhir.query import Criterion, unescape
from gateway.fhir.references import parse_reference
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import Asked, allow, system_value
from gateway.store.index.match.row import Alternatives, Condition, posted

__all__ = ["pointing_at", "reference"]


def reference(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """A reference to one of the values, with `:Type` and `:identifier`."""
    indexer = asked.indexer
    typed = criterion.modifier if indexer.r4.is_resource(criterion.modifier) else ""
    if not typed:
        allow(criterion, "", "identifier")
    either = Alternatives()
    for value in criterion.values:
        for slot, target in found.slots:
            if criterion.modifier == "identifier":
                system, named, number = system_value(criterion, value)
                own = indexer.key(slot.name, "identifier", number)
                either.key(indexer.key(slot.name, "identifier", system, number) if named else own, posted(slot, own))
                continue
            for form in _forms(asked, found, unescape(value), typed or target):
                key = indexer.key(slot.name, "to", form)
                either.key(key, posted(slot, key))
    return either.condition()


def pointing_at(asked: Asked, found: Field, places: Iterable[str]) -> Condition:
    """A reference to one of these `Type/id` (or canonical URLs)."""
    either = Alternatives()
    for place in places:
        for slot, target in found.slots:
            if not target or place.startswith(f"{target}/"):
                key = asked.indexer.key(slot.name, "to", place)
                either.key(key, posted(slot, key))
    return either.condition()


def _forms(asked: Asked, found: Field, value: str, type_: str) -> list[str]:
    """What the index may hold for this value: `Type/id` for each type it can be, or the URL; with the version that it names."""
    target = parse_reference(value, asked.indexer.keys.base)
    if target.type and not target.base:
        version = f"/_history/{target.version}" if target.version else ""
        return [target.local + version] if type_ in ("", target.type) else []
    if target.base or "/" in value or ":" in value or value.startswith("#"):
        return [value]
    types = [type_] if type_ else list(found.parameter.targets)
    if not types or "Resource" in types:
        types = asked.indexer.r4.resource_types()
    return [value, *(f"{t}/{value}" for t in types)]
