"""Postings in order, with the index rows of their resources, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.store.index import drive
from gateway.store.index.match.row import PostingRange, Row
from gateway.store.index.statements import NOTHING, Demand, Group, demanded, grouped, is_sqlite, keyed, run

__all__ = ["Reading", "stream"]

FIRST, MOST = 64, 4096
"""Postings that are read at first and at most at a time."""
BRANCHES = 200
"""Groups of postings in one part of a statement: SQLite takes 500 SELECTs together, and a search of all types has more."""
_WRITTEN = "(SELECT r.time FROM index_row AS r WHERE r.rid = p.rid)"

Place = tuple[int, int]
"""(value that orders, rid)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read. demand: what else its resources must have. together: the postings of all ranges are read and sorted (many keys that have
    few postings each), else those of each range are followed in their own order. written: sorted by when the resources were written.
    """

    ranges: list[PostingRange]
    demand: Demand = NOTHING
    descending: bool = True
    together: bool = False
    written: bool = False


def stream(connection: Connection, reading: Reading, after: Place | None) -> Iterator[list[tuple[int, Row]]]:
    """(t of the posting, or time of writing; index row) in order of that and of rid, strictly after a place; a row stands there once a value.
    The engine leaves out what has not the postings that are demanded, and from the second helping on rows without the needles. Of postings
    that have to be sorted first, it would look at every one: there it leaves out nothing before the second helping."""
    order = "DESC" if reading.descending else "ASC"
    demand, size = (NOTHING, FIRST * 4) if reading.together else (Demand(reading.demand.posted), FIRST)
    while True:
        among, parameters = _among(is_sqlite(connection), reading, demand, after, size)
        statement = f"SELECT DISTINCT at, who FROM ({among}) AS u ORDER BY at {order}, who {order} LIMIT %s"
        rows = run(connection, statement, [*parameters, size]) if among else []
        loaded = {row.rid: row for row in drive.load(connection, [who for _, who in rows])}
        yield [(at, loaded[who]) for at, who in rows if who in loaded]
        if len(rows) < size:
            return
        after = (rows[-1][0], rows[-1][1])
        if demand != reading.demand:  # what the engine has to look for may be rare: no more is asked for than a page may need
            demand, size = reading.demand, FIRST // 2
        else:
            size = min(size * (2 if demand.needles else 4), MOST)


def _among(sqlite: bool, reading: Reading, demand: Demand, after: Place | None, size: int) -> tuple[str, list[Any]]:
    """Statement for (at, who) among which the next `size` are."""
    order, beyond = ("DESC", "<") if reading.descending else ("ASC", ">")
    ranges = reading.ranges if reading.written else [_narrowed(r, reading.descending, after) for r in reading.ranges]
    groups = grouped(ranges) if reading.together or reading.written else [Group([key], low, high) for key, low, high in ranges if low <= high]
    at = _WRITTEN if reading.written else "p.t"
    branches: list[str] = []
    parameters: list[Any] = []
    for group in groups:
        rest, values = demanded(demand, group.keys[0] & 1, sqlite)
        if after:
            rest, values = f"{rest} AND ({at}, p.rid) {beyond} (%s, %s)", [*values, *after]
        if not reading.written:
            rest, values = f"{rest} ORDER BY p.t {order}, p.rid {order} LIMIT %s", [*values, size]
        statement, own = keyed(group, sqlite, f"{at} AS at, p.rid AS who", rest, values)
        branches.append(statement)
        parameters += own
    parts = [" UNION ALL ".join(branches[n : n + BRANCHES]) for n in range(0, len(branches), BRANCHES)]
    if not parts:
        return "", parameters
    return parts[0] if len(parts) == 1 else " UNION ALL ".join(f"SELECT * FROM ({part}) AS c{n}" for n, part in enumerate(parts)), parameters


def _narrowed(range_: PostingRange, descending: bool, after: Place | None) -> PostingRange:
    """The range without what lies before the place already."""
    key, low, high = range_
    if after is None:
        return range_
    return PostingRange(key, low, min(high, after[0])) if descending else PostingRange(key, max(low, after[0]), high)
