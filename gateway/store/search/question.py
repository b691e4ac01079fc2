"""A compiled search: conditions by type, and where the rows that can match are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.store.index.keys import Plan
from gateway.store.index.match.row import Condition, Driver, PostingRange, Row
from gateway.store.index.spans import HIGHEST, LOWEST
from gateway.store.search.order import Order

__all__ = ["Part", "Question"]


class _Bounds(NamedTuple):
    """What all criteria together say of the t of short and of long resources, and of the time of writing."""

    short: tuple[int, int]
    long: tuple[int, int]
    written: tuple[int, int]

    @classmethod
    def of(cls, conditions: Sequence[Condition]) -> _Bounds:
        main = [c.bounds for c in conditions if c.bounds is not None]
        return cls(_meet(b[0] for b in main), _meet(b[1] for b in main), _meet(c.written for c in conditions if c.written is not None))

    def narrowed(self, driver: Driver, plan: Plan) -> Driver:
        """The driver with its postings cut to the bounds."""
        return [self._cut(r, plan) if isinstance(r, PostingRange) else r for r in driver]

    def _cut(self, range_: PostingRange, plan: Plan) -> PostingRange:
        low, high = self.written if range_.key == plan.updated_key else self.long if range_.key & 1 else self.short
        return PostingRange(range_.key, max(range_.low, low), min(range_.high, high))


def _meet(spans: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The part that all spans share."""
    low, high = LOWEST, HIGHEST
    for first, last in spans:
        low, high = max(low, first), min(high, last)
    return low, high


@dataclass(slots=True)
class Part:
    """The search in one type. ids: the only ones that can match, None when that is not said."""

    plan: Plan
    conditions: list[Condition] = field(default_factory=list)
    ids: set[str] | None = None

    def only(self, ids: set[str]) -> None:
        """Nothing else can match."""
        self.ids = ids if self.ids is None else self.ids & ids

    def passes(self, row: Row) -> bool:
        """Whether the row meets every test of rows."""
        return all(c.test(row) for c in self.conditions if c.test is not None)

    def drivers(self) -> Iterator[Driver]:
        """What can drive the search, narrowed by dates; at last the whole type."""
        bounds = _Bounds.of(self.conditions)
        for condition in self.conditions:
            if condition.driver is not None:
                yield bounds.narrowed(condition.driver, self.plan)
        yield bounds.narrowed([PostingRange(self.plan.type_key), PostingRange(self.plan.type_key | 1)], self.plan)

    def ranges(self, by: str) -> list[PostingRange]:
        """The postings to stream, in order of `t` or `time`: of the first value that has few enough keys, else of the whole type."""
        if by == "time":
            return [PostingRange(self.plan.updated_key, *_Bounds.of(self.conditions).written)]
        for driver in self.drivers():
            ranges = [r for r in driver if isinstance(r, PostingRange) and r.key != self.plan.updated_key]
            if len(ranges) == len(driver) and len(ranges) <= STREAMS:
                return ranges
        raise AssertionError("the whole type is always the last driver")

    def needles(self, driver: Driver) -> list[tuple[int, ...]]:
        """Keys that the rows of a driver must have besides: what the engine can leave out by itself."""
        driven = {r.key & ~1 for r in driver if isinstance(r, PostingRange)}
        return [c.needles for c in self.conditions if c.needles and len(c.needles) <= NEEDLES and not driven >= set(c.needles)]

    def exact(self) -> tuple[list[PostingRange], list[tuple[int, ...]]] | None:
        """Postings and needles whose count is the number of matches; None when only the rows can tell."""
        if self.ids is not None or any(c.content or c.batch for c in self.conditions):
            return None
        if len(self.conditions) == 1 and self.conditions[0].written is not None:
            return (self.ranges("time"), []) if self.conditions[0].exact else None
        if not all(c.exact and c.needles and len(c.needles) <= NEEDLES for c in self.conditions):
            return None
        single = [c for c in self.conditions if c.driver and c.needles and len(c.needles) == 1]  # else a resource may stand there twice
        ranges = [r for r in single[0].driver or () if isinstance(r, PostingRange)] if single else []
        if not ranges:
            ranges = [PostingRange(self.plan.type_key), PostingRange(self.plan.type_key | 1)]
        return ranges, self.needles(ranges)


STREAMS = 24
"""Posting ranges that one statement merges in order."""
NEEDLES = 16
"""Keys of one criterion that the engine is asked to look for."""


@dataclass(slots=True)
class Question:
    """A compiled search over one or several types, by the `updated` key of their rows."""

    parts: dict[int, Part]
    order: Order
    ignored: list[str]

    def ranges(self, by: str) -> list[PostingRange]:
        """The postings of all parts."""
        return [r for part in self.parts.values() for r in part.ranges(by)]

    def needles(self, ranges: Sequence[PostingRange]) -> list[tuple[int, ...]]:
        """Only of a search in one type: another type's rows have other keys."""
        return next(iter(self.parts.values())).needles(ranges) if len(self.parts) == 1 else []
