"""The cost guard: a search that takes too long, or fans out too widely, is refused instead of hanging."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import Finding, Refused

__all__ = ["Guard", "Limits", "TooWide", "too_costly"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one search may cost. few: a driver that leads to fewer rows is read whole. rows: rows that may be looked at. seconds: time.
    width: resources that one step of a chain may lead to. included: resources that includes may add to a page. depth: steps of a chain.
    """

    few: int = 500
    rows: int = 1_000_000
    seconds: float = 10.0
    width: int = 2000
    included: int = 1000
    depth: int = 4


class TooWide(Exception):
    """A step of a chain leads to more resources than the limit."""


class Guard:
    """Counts what one search, with everything it asks inside, looks at."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._now = now
        self._end = now() + limits.seconds
        self._rows = 0

    def looked(self, rows: int) -> None:
        """Some more rows were looked at. Raises Refused beyond the limits."""
        self._rows += rows
        if self._rows > self.limits.rows:
            raise too_costly("查看的行数超过上限")
        if self._now() > self._end:
            raise too_costly("所需时间超过上限")


def too_costly(why: str) -> Refused:
    """The refusal, with the next step."""
    return Refused(Finding("too-costly", "refuse", f"检索条件太宽: {why}; 请加上 patient、code 或日期等条件"))
