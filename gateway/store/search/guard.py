"""The cost guard: a search that takes too long, or fans out too widely, is refused instead of hanging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.errors import Finding, Refused

__all__ = ["Guard", "Limits", "TooWide", "too_costly"]


STEPS = 100_000
"""Steps of SQLite's machine (some milliseconds) between two looks at the clock."""


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
        self._watched = False

    @contextmanager
    def watching(self, connection: Connection) -> Iterator[None]:
        """While a wide search reads: a single statement that takes too long is stopped, too. Raises Refused then."""
        if self._watched:
            yield
            return
        self._watched = True
        left = max(self._end - self._now(), 0.001)
        stop = _stop_sqlite if connection.dialect.name == "sqlite" else _stop_postgresql
        try:
            with stop(connection, left, lambda: self._now() > self._end):
                yield
        except OperationalError:
            if self._now() > self._end:
                raise too_costly("所需时间超过上限") from None
            raise
        finally:
            self._watched = False

    def looked(self, rows: int) -> None:
        """Some more rows were looked at. Raises Refused beyond the limits."""
        self._rows += rows
        if self._rows > self.limits.rows:
            raise too_costly("查看的行数超过上限")
        if self._now() > self._end:
            raise too_costly("所需时间超过上限")


@contextmanager
def _stop_sqlite(connection: Connection, seconds: float, late: Callable[[], bool]) -> Iterator[None]:
    raw: Any = connection.connection.driver_connection
    raw.set_progress_handler(late, STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


@contextmanager
def _stop_postgresql(connection: Connection, seconds: float, late: Callable[[], bool]) -> Iterator[None]:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000) + 1}")
    try:
        yield
    except DBAPIError:
        raise  # a statement that was stopped has ended the transaction, and the setting with it
    except BaseException:
        connection.exec_driver_sql("SET LOCAL statement_timeout = DEFAULT")
        raise
    connection.exec_driver_sql("SET LOCAL statement_timeout = DEFAULT")


def too_costly(why: str) -> Refused:
    """The refusal, with the next step."""
    return Refused(Finding("too-costly", "refuse", f"检索条件太宽: {why}; 请加上 patient、code 或日期等条件"))
