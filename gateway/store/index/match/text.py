"""Strings and URIs (https://hl7.org/fhir/R4/search.html#string, #uri)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.fhir.query import Criterion, unescape
from gateway.store.index.folding import normalised
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import Asked, allow
from gateway.store.index.match.row import Alternatives, Condition, ContainsRange, Driver, Row, StringRange, Test, posted
from gateway.store.index.pinyin import asked as sounding
from gateway.store.index.values import LONGEST

__all__ = ["string", "uri"]


def string(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """By prefix, whatever their case, width and accents; `:contains`; `:exact` as it stands; `:pinyin` of Chinese names (our extension)."""
    allow(criterion, "", "exact", "contains", "pinyin")
    either = Alternatives()
    for value in criterion.values:
        raw = unescape(value)
        heard = criterion.modifier == "pinyin"
        wanted = sounding(raw) if heard else normalised(raw)
        compare = _begins_with(wanted) if heard else _string_compare(criterion.modifier, raw)
        for slot, _ in found.slots:
            own = asked.indexer.key(slot.name, "pinyin" if heard else "text")
            driver: Driver | None = None
            if slot.table and wanted:
                part = wanted[:LONGEST]
                driver = [ContainsRange(own, part) if criterion.modifier == "contains" else StringRange(own, part)]
            either.add(_text_test(own, compare), driver)
    condition = either.condition()
    return Condition(condition.test, condition.driver, needles=tuple(slot.present for slot, _ in found.slots))


def uri(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """Exactly as it stands; `:below` and `:above` by path."""
    allow(criterion, "", *(("below", "above") if all(slot.table for slot, _ in found.slots) else ()))
    either = Alternatives()
    for value in map(unescape, criterion.values):
        for slot, _ in found.slots:
            own = asked.indexer.key(slot.name, "text")
            if criterion.modifier == "below":
                either.add(_text_test(own, _begins_with(value)), [StringRange(own, value[:LONGEST])])
            elif criterion.modifier == "above":
                either.add(_text_test(own, value.startswith), None)
            else:
                key = asked.indexer.key(slot.name, "uri", value)
                either.key(key, posted(slot, key))
    return either.condition()


def _string_compare(modifier: str, value: str) -> Callable[[str], bool]:
    wanted = normalised(value)
    if modifier == "exact":
        return lambda text: text == value
    if modifier == "contains":
        return lambda text: wanted in normalised(text)
    return lambda text: normalised(text).startswith(wanted)


def _begins_with(value: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(value)


def _text_test(slot: int, compare: Callable[[str], bool]) -> Test:
    def test(row: Row) -> bool:
        return row.texts is not None and any(key == slot and compare(text) for key, text in msgspec.json.decode(row.texts))

    return test
