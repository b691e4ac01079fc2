"""Quantities and numbers (https://hl7.org/fhir/R4/search.html#quantity, #number)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from gateway.fhir.query import Criterion, prefixed, split, unescape
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import Asked, allow, refused
from gateway.store.index.match.date import compare
from gateway.store.index.match.row import Condition, Row
from gateway.store.index.spans import implied, sortable, unpack

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
        keys = frozenset(asked.indexer.key(slot.name, "amount", *form) for slot, _ in found.slots)
        wanted.append((keys, _number(criterion, number)))

    def test(row: Row) -> bool:
        return any(key in keys and one(low, high) for key, low, high in unpack(row.amounts) for keys, one in wanted)

    return Condition(test, needles=tuple(slot.present for slot, _ in found.slots))


def _number(criterion: Criterion, text: str) -> Compare:
    """Only `eq`, `ne` and `ap` take the range that the digits imply; the others compare with the number itself."""
    prefix, digits = prefixed(text)
    try:
        number = Decimal(digits)
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise refused(criterion, "bad-number", f"`{digits[:40]}` 不是数值; 应如 5.4 或 ge5.4") from None
    if prefix == "ap":
        near = abs(number) / 10
        return compare(prefix, sortable(number - near), sortable(number + near))
    if prefix in ("eq", "ne"):
        low, high = implied(number)
        return compare(prefix, sortable(low), sortable(high) - 1)
    exact = sortable(number)
    if prefix == "ge":
        return lambda _low, high: high >= exact
    if prefix == "le":
        return lambda low, _high: low <= exact
    return compare(prefix, exact, exact)
