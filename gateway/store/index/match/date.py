"""Dates as intervals, with prefixes (https://hl7.org/fhir/R4/search.html#date)."""

from __future__ import annotations

from collections.abc import Callable

from gateway.fhir.query import Criterion, prefixed
from gateway.fhir.time import interval
from gateway.store.index.keys import DAY, Field
from gateway.store.index.match.asked import Asked, allow, refused
from gateway.store.index.match.row import Condition, PostingRange, Row
from gateway.store.index.spans import HIGHEST, LOWEST, unpack

__all__ = ["compare", "date", "last_updated"]


def compare(prefix: str, low: int, high: int) -> Callable[[int, int], bool]:
    """Test of a resource's interval against that of the search (https://hl7.org/fhir/R4/search.html#prefix)."""
    tests: dict[str, Callable[[int, int], bool]] = {
        "eq": lambda first, last: low <= first and last <= high,
        "ne": lambda first, last: first < low or last > high,
        "gt": lambda first, last: last > high,
        "lt": lambda first, last: first < low,
        "ge": lambda first, last: last > high or (low <= first and last <= high),
        "le": lambda first, last: first < low or (low <= first and last <= high),
        "sa": lambda first, last: first > high,
        "eb": lambda first, last: last < low,
        "ap": lambda first, last: first <= high and last >= low,
    }
    return tests[prefix]


def _bounds(prefix: str, low: int, high: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the t of a match can lie: for resources whose main date is at most a day long, and for the others, whose t may also be
    that of an earlier interval than the one that matches."""
    short: dict[str, tuple[int, int]] = {
        "eq": (low, high),
        "gt": (high - DAY, HIGHEST),
        "ge": (low - DAY, HIGHEST),
        "lt": (LOWEST, low - 1),
        "le": (LOWEST, high),
        "sa": (high + 1, HIGHEST),
        "eb": (LOWEST, low - 1),
        "ap": (low - DAY, high),
    }
    bounds = short.get(prefix, (LOWEST, HIGHEST))
    return bounds, (LOWEST, bounds[1])


def _certain(prefix: str, low: int, high: int) -> tuple[int, int] | None:
    """Where a t is that of a match, whatever the day is long that it begins; None when nothing can be said."""
    return {
        "eq": (low, high - DAY),
        "gt": (high + 1, HIGHEST),
        "ge": (low, HIGHEST),
        "lt": (LOWEST, low - 1),
        "le": (LOWEST, low - 1),
        "sa": (high + 1, HIGHEST),
        "eb": (LOWEST, low - DAY),
        "ap": (low, high),
    }.get(prefix)


def date(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """A date, dateTime, instant, Period or Timing."""
    allow(criterion, "")
    plan = asked.plan
    slots = {slot.dates for slot, _ in found.slots}
    pairs = [_value(asked, criterion, value) for value in criterion.values]
    compares = [compare(prefix, *span) for prefix, span in pairs]

    def test(row: Row) -> bool:
        return any(key in slots and one(first, last) for key, first, last in unpack(row.spans) for one in compares)

    if {slot for slot, _ in found.slots} != plan.main:
        return Condition(test, needles=tuple(slot.present for slot, _ in found.slots))
    each = [_bounds(prefix, *span) for prefix, span in pairs]
    short, long = ((min(b[n][0] for b in each), max(b[n][1] for b in each)) for n in (0, 1))
    driver = [PostingRange(plan.type_key, *short), PostingRange(plan.type_key | 1, *long)]
    certain = _certain(pairs[0][0], *pairs[0][1]) if len(pairs) == 1 else None
    return Condition(test, driver if short != (LOWEST, HIGHEST) else None, (short, long), certain)


def _value(asked: Asked, criterion: Criterion, value: str) -> tuple[str, tuple[int, int]]:
    prefix, text = prefixed(value)
    span = interval(text.replace(" ", "+"), asked.indexer.keys.zone)
    if span is None:
        raise refused(criterion, "bad-date", f"`{text[:40]}` 不是日期; 应为 年、年-月、年-月-日 或 年-月-日T时:分:秒+08:00, 前面可加 ge le 等前缀")
    return prefix, span


def last_updated(asked: Asked, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#lastUpdated"""
    allow(criterion, "")
    pairs = [_value(asked, criterion, value) for value in criterion.values]
    compares = [compare(prefix, *span) for prefix, span in pairs]
    each = [_moments(prefix, *span) for prefix, span in pairs]
    written = min(b[0] for b in each), max(b[1] for b in each)
    driver = [PostingRange(asked.plan.updated_key, *written)]
    exact = len(pairs) == 1 and pairs[0][0] != "ne"
    return Condition(lambda row: any(one(row.time, row.time) for one in compares), driver, written=written, exact=exact)


def _moments(prefix: str, low: int, high: int) -> tuple[int, int]:
    """Which single moments can match."""
    first = {"eq": low, "ap": low, "ge": low, "gt": high + 1, "sa": high + 1}
    last = {"eq": high, "ap": high, "le": high, "lt": low - 1, "eb": low - 1}
    return first.get(prefix, LOWEST), last.get(prefix, HIGHEST)
