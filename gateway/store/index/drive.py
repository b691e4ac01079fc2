"""Reads the index: how many rows a driver leads to, which they are, and streams of postings in time order.

All statements are of fixed shape for a number of ranges; parameters are numbers and text, never parts of the statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from gateway.store.index.match import Driver, PostingRange, Row, StringRange
from gateway.store.index.write import BATCHES

__all__ = ["count", "fetch", "identified", "load", "run", "stream"]

_ROW = "rid, t, time, keys, spans, amounts, texts"
CHUNK = 500
TOP = "\U0010ffff"


def _places(sqlite: bool) -> tuple[str, str]:
    """Both tables of postings, up to the condition on the key."""
    return "index_posting WHERE", f"index_fresh WHERE batch IN ({BATCHES if sqlite else 0}) AND"


def run(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """Rows of a statement written with `%s`, on either engine."""
    text = statement.replace("%s", "?") if connection.dialect.name == "sqlite" else statement
    return list(connection.exec_driver_sql(text, tuple(parameters)).fetchall())


def _one(range_: PostingRange | StringRange, limit: int, sqlite: bool) -> tuple[str, list[Any]]:
    """Statement for the rids of one range, at most `limit` from each place."""
    if isinstance(range_, PostingRange):
        part = "SELECT * FROM (SELECT rid FROM {} key = %s AND t BETWEEN %s AND %s LIMIT %s) AS {}"
        return " UNION ALL ".join(part.format(t, a) for t, a in zip(_places(sqlite), "pf", strict=True)), [*range_, limit] * 2
    return (
        "SELECT * FROM (SELECT rid FROM index_string WHERE slot = %s AND value >= %s AND value < %s LIMIT %s) AS s",
        [range_.slot, range_.prefix, range_.prefix + TOP, limit],
    )


def count(connection: Connection, driver: Driver, cap: int) -> int:
    """About how many rows the driver leads to; `cap` means that many or more."""
    found = 0
    for range_ in driver:
        statement, parameters = _one(range_, cap - found, connection.dialect.name == "sqlite")
        found += int(run(connection, f"SELECT count(*) FROM ({statement}) AS c", parameters)[0][0])
        if found >= cap:
            return cap
    return found


def fetch(connection: Connection, driver: Driver, limit: int) -> set[int]:
    """The rids a driver leads to; more than `limit` when there are more."""
    found: set[int] = set()
    for range_ in driver:
        statement, parameters = _one(range_, limit + 1, connection.dialect.name == "sqlite")
        found.update(row[0] for row in run(connection, statement, parameters))
    return found


def identified(connection: Connection, rids: Iterable[int], system: str | None, value: str) -> list[int]:
    """Which of these resources carry this identifier, exactly (system None: whatever it is), in order."""
    found: list[int] = []
    wanted = sorted(rids)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        marks = ", ".join(["%s"] * len(part))
        for rid, said in run(connection, f"SELECT rid, identifiers FROM index_row WHERE rid IN ({marks})", part):
            if any(v == value and system in (None, s) for _, s, v in msgspec.json.decode(said or b"[]")):
                found.append(rid)
    return sorted(found)


def load(connection: Connection, rids: Sequence[int]) -> Iterator[Row]:
    """Index rows of these resources, in no order; those that are gone are left out."""
    for start in range(0, len(rids), CHUNK):
        part = rids[start : start + CHUNK]
        marks = ", ".join(["%s"] * len(part))
        for row in run(connection, f"SELECT {_ROW} FROM index_row WHERE rid IN ({marks})", part):
            yield Row(*row)


def stream(connection: Connection, ranges: Sequence[PostingRange], descending: bool, after: tuple[int, int] | None) -> Iterator[tuple[int, Row]]:
    """(t of the posting, index row) of the ranges in order of (t, rid), strictly after a place; a row stands there once a posting."""
    order, beyond = ("DESC", "<") if descending else ("ASC", ">")
    size = 64
    while True:
        branches: list[str] = []
        parameters: list[Any] = []
        for key, low, high in ranges:
            low, high = _narrowed(low, high, descending, after)
            for table in _places(connection.dialect.name == "sqlite"):
                place = f" AND (t, rid) {beyond} (%s, %s)" if after else ""
                branches.append(
                    f"SELECT * FROM (SELECT t AS at, rid AS who FROM {table} key = %s AND t BETWEEN %s AND %s{place} "
                    f"ORDER BY t {order}, rid {order} LIMIT %s) AS b{len(branches)}"
                )
                parameters += [key, low, high, *(after or ()), size]
        postings = f"SELECT DISTINCT at, who FROM ({' UNION ALL '.join(branches)}) AS u ORDER BY at {order}, who {order} LIMIT %s"
        rows = run(connection, postings, [*parameters, size])
        held = {row.rid: row for row in load(connection, [who for _, who in rows])}
        for at, who in rows:
            if who in held:
                yield at, held[who]
        if len(rows) < size:
            return
        after = (rows[-1][0], rows[-1][1])
        size = min(size * 4, 4096)


def _narrowed(low: int, high: int, descending: bool, after: tuple[int, int] | None) -> tuple[int, int]:
    """The range without what lies before the place already."""
    if after is None:
        return low, high
    return (low, min(high, after[0])) if descending else (max(low, after[0]), high)
