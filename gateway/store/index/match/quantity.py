"""Quantities and numbers (https://hl7.org/fhir/R4/search.html#quantity, #number)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import SupportsFloat

from gateway.fhir.query import Criterion, prefixed, split, unescape
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import Asked, allow, refused
from gateway.store.index.match.date import compare
from gateway.store.index.match.row import Condition, Row
from gateway.store.index.spans import implied, sortable, unpack
from gateway.store.index.units import base_of

__all__ = ["quantity"]

Compare = Callable[[int, int], bool]


def quantity(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """`number`, `number|system|code`, `number||unit`."""
    allow(criterion, "")
    wanted: list[tuple[frozenset[int], Compare]] = []
    for value in criterion.values:
        number, *unit = [unescape(p) for p in split(value, "|")]
        form = [u for u in unit if u]
        if len(unit) > 2 or (len(unit) == 2 and unit[0] and not unit[1]):
            raise refused(criterion, "bad-value", "数量应写成 数值、数值|系统|代码 或 数值||单位")
        base = base_of(*form) if len(form) == 2 else None
        said = ("base", base.dimension) if base else ("amount", *form)
        keys = frozenset(asked.indexer.key(slot.name, *said) for slot, _ in found.slots)
        wanted.append((keys, _number(criterion, number, base.of if base else _as_it_stands)))

    def test(row: Row) -> bool:
        return any(key in keys and one(low, high) for key, low, high in unpack(row.amounts) for keys, one in wanted)

    return Condition(test, needles=tuple(slot.present for slot, _ in found.slots))


def _as_it_stands(number: Decimal) -> Decimal:
    return number


def _number(criterion: Criterion, text: str, scaled: Callable[[Decimal], SupportsFloat]) -> Compare:
    """Only `eq`, `ne` and `ap` take the range that the digits imply; the others compare with the number itself."""
    prefix, digits = prefixed(text)
    try:
        number = Decimal(digits)
        exact = sortable(scaled(number))
        if not number.is_finite():
            raise InvalidOperation
    except (InvalidOperation, OverflowError, ValueError):
        raise refused(criterion, "bad-number", f"`{digits[:40]}` 不是数值; 应如 5.4 或 ge5.4") from None
    if prefix == "ap":
        near = abs(number) / 10
        return compare(prefix, sortable(scaled(number - near)), sortable(scaled(number + near)))
    if prefix in ("eq", "ne"):
        low, high = (sortable(scaled(end)) for end in implied(number))
        return compare(prefix, min(low, exact), max(high - 1, exact))  # more digits than a double has: the number itself
    if prefix == "ge":
        return lambda _low, high: high >= exact
    if prefix == "le":
        return lambda low, _high: low <= exact
    return compare(prefix, exact, exact)
