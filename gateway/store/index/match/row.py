"""What conditions look at, and where the rows that can match are found: rows, ranges, conditions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.store.index.slots import Slot
from gateway.store.index.spans import HIGHEST, LOWEST

__all__ = [
    "Alternatives",
    "Condition",
    "ContainsRange",
    "Driver",
    "PostingRange",
    "Range",
    "Row",
    "StringRange",
    "Test",
    "has",
    "has_any",
    "posted",
]

_NEEDLE = struct.Struct("<q")


class Row(NamedTuple):
    """A row of `index_row`, as far as conditions look at it."""

    rid: int
    t: int
    time: int
    updated: int
    keys: bytes
    spans: bytes
    amounts: bytes
    texts: bytes | None


Test = Callable[[Row], bool]


class PostingRange(NamedTuple):
    """Postings of one key with t from `low` to `high`."""

    key: int
    low: int = LOWEST
    high: int = HIGHEST


class StringRange(NamedTuple):
    """Strings of one slot that begin with `prefix`, as `index_string` has them."""

    slot: int
    prefix: str


class ContainsRange(NamedTuple):
    """Strings of one slot that hold `part`, and those that the table holds cut off."""

    slot: int
    part: str


class Rids(NamedTuple):
    """Resources that are known already."""

    rids: tuple[int, ...]


Range = Rids | PostingRange | StringRange | ContainsRange
Driver = Sequence[Range]


@dataclass(frozen=True, slots=True)
class Condition:
    """One criterion. A match passes every test that it has: `test` by the index row, then `content` by the resource itself, then `batch`,
    which gives those of some rids that pass. driver: ranges that hold every match (None: nothing narrower than the type). needles: keys of
    which a match has at least one; exact: and whoever has one matches (with `written`: whoever was written then does). bounds: what the
    criterion says of t for resources whose main date is short, and for the others. certain: the t at which the short ones match whatever
    their date is in full. written: what it says of the time of writing.
    """

    test: Test | None
    driver: Driver | None = None
    bounds: tuple[tuple[int, int], tuple[int, int]] | None = None
    certain: tuple[int, int] | None = None
    written: tuple[int, int] | None = None
    needles: tuple[int, ...] | None = None
    content: Callable[[Mapping[str, Any]], bool] | None = None
    batch: Callable[[Sequence[int]], set[int]] | None = None
    exact: bool = False


@dataclass(slots=True)
class Alternatives:
    """What the values of one criterion amount to: any of the keys or tests; a driver and needles only if every value has them."""

    keys: list[int] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    driver: list[Range] | None = field(default_factory=list)

    def key(self, key: int, driver: Driver | None) -> None:
        """A value that a match has as a key."""
        self.keys.append(key)
        self._drive(driver)

    def add(self, test: Test, driver: Driver | None) -> None:
        """A value that takes a test of its own."""
        self.tests.append(test)
        self._drive(driver)

    def join(self, other: Condition) -> None:
        """All that makes another condition true, if keys alone do."""
        self.keys += other.needles or ()
        self._drive(other.driver)

    def _drive(self, driver: Driver | None) -> None:
        if driver is None or self.driver is None:
            self.driver = None
        else:
            self.driver.extend(driver)

    def test(self) -> Test:
        """Whether a row matches any of the values."""
        tests = [*self.tests, *([has_any(self.keys)] if self.keys else [])]
        if len(tests) == 1:
            return tests[0]
        return lambda row: any(test(row) for test in tests)

    def condition(self, negated: bool = False) -> Condition:
        """The criterion; negated: a match has none of the values."""
        test = self.test()
        if negated:
            return Condition(lambda row: not test(row))
        if self.tests:
            return Condition(test, self.driver)
        return Condition(test, self.driver, needles=tuple(self.keys), exact=True)


def has(key: int) -> Test:
    """Whether the row has a key: the eight bytes stand there at a multiple of eight."""
    needle = _NEEDLE.pack(key)

    def test(row: Row) -> bool:
        keys = row.keys
        at = keys.find(needle)
        while at != -1:
            if not at & 7:
                return True
            at = keys.find(needle, at + 1)
        return False

    return test


def has_any(keys: Iterable[int]) -> Test:
    """Whether the row has one of the keys."""
    wanted = frozenset(keys)
    if len(wanted) == 1:
        return has(*wanted)
    return lambda row: not wanted.isdisjoint(struct.unpack(f"<{len(row.keys) // 8}q", row.keys))


def posted(slot: Slot, key: int) -> list[PostingRange] | None:
    """The postings of a key: even for short, odd for long resources. None when the slot's values have none."""
    return [PostingRange(key), PostingRange(key | 1)] if slot.posted else None
