"""A compiled search: conditions by type, and where the rows that can match are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.store.index.keys import Plan
from gateway.store.index.match.row import Condition, Driver, PostingRange, Row
from gateway.store.index.spans import HIGHEST, LOWEST
from gateway.store.index.statements import Demand, Needles
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
    """The search in one type. ids: the only ones that can match, None when that is not said. rarest: the postings to stream, once chosen."""

    plan: Plan
    conditions: list[Condition] = field(default_factory=list)
    ids: set[str] | None = None
    rarest: list[PostingRange] | None = None

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
        yield self.whole()

    def whole(self) -> list[PostingRange]:
        """All postings of the type, narrowed by dates."""
        return _postings(_Bounds.of(self.conditions).narrowed([PostingRange(self.plan.type_key), PostingRange(self.plan.type_key | 1)], self.plan))

    def written(self) -> list[PostingRange]:
        """The postings of the type in the order of the time of writing."""
        return [PostingRange(self.plan.updated_key, *_Bounds.of(self.conditions).written)]

    def streams(self) -> list[list[PostingRange]]:
        """Drivers whose postings stand in the order of t. None of them is the type itself, whose postings are always more."""
        bounds = _Bounds.of(self.conditions)
        return [_postings(bounds.narrowed(c.driver, self.plan)) for c in self.conditions if c.driver and _is_posted(c)]

    def is_written(self) -> bool:
        """Whether all that is asked is when it was written, in one span."""
        return self.ids is None and len(self.conditions) == 1 and self.conditions[0].written is not None and self.conditions[0].exact

    def needles(self, driver: Driver) -> Needles:
        """Keys that the rows of a driver must have besides."""
        driven = {r.key & ~1 for r in _postings(driver)}
        return [c.needles for c in self.conditions if c.needles and len(c.needles) <= NEEDLES and not driven >= set(c.needles)]

    def demand(self, ranges: Iterable[PostingRange]) -> Demand:
        """What matches must have besides these postings, as far as keys tell."""
        driven = {r.key & ~1 for r in ranges}
        at_t = self.plan.updated_key not in driven
        posted: list[tuple[int, ...]] = []
        needles: list[tuple[int, ...]] = []
        for condition in self.conditions:
            wanted = set(condition.needles or ())
            own = {r.key & ~1 for r in _postings(condition.driver or ())} if _is_posted(condition) else set()
            if driven <= own:
                own = driven  # the posting itself says so
            elif at_t and 0 < len(own) <= NEEDLES:
                posted.append(tuple(sorted(own)))
            else:
                own = set()
            if 0 < len(wanted) <= NEEDLES and not (own and own <= wanted):
                needles.append(tuple(sorted(wanted)))
        return Demand(tuple(posted), tuple(needles))

    def counted(self, ranges: list[PostingRange]) -> tuple[list[PostingRange], list[PostingRange]]:
        """Of these postings, those that with what they demand are the matches, and those of which only the rows can tell."""
        if self.ids is not None or any(c.content or c.batch for c in self.conditions):
            return [], ranges
        driven = {r.key & ~1 for r in ranges}
        dates = [c.certain for c in self.conditions if c.certain is not None]
        others = [c for c in self.conditions if c.certain is None]
        if not all(c.exact and c.needles and (driven <= set(c.needles) or len(c.needles) <= NEEDLES) for c in others):
            return [], ranges
        if not dates:
            return ranges, []
        first, last = _meet(dates)
        odd = [r for r in ranges if r.key & 1]
        even = [r for r in ranges if not r.key & 1]
        if first > last:
            return [], ranges
        before = [PostingRange(r.key, r.low, min(r.high, first - 1)) for r in even]
        after = [PostingRange(r.key, max(r.low, last + 1), r.high) for r in even]
        return [PostingRange(r.key, max(r.low, first), min(r.high, last)) for r in even], [*odd, *before, *after]


def _is_posted(condition: Condition) -> bool:
    """Whether all its matches have one of its driver's postings, at whatever t."""
    driver = condition.driver
    return bool(driver) and condition.bounds is None and condition.written is None and all(isinstance(r, PostingRange) for r in driver or ())


def _postings(driver: Driver) -> list[PostingRange]:
    return [r for r in driver if isinstance(r, PostingRange)]


NEEDLES = 16
"""Keys of one criterion that the engine is asked to look for."""


@dataclass(slots=True)
class Question:
    """A compiled search over one or several types, by the `updated` key of their rows."""

    parts: dict[int, Part]
    order: Order
    ignored: list[str]
