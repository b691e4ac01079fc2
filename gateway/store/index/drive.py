"""Reads the index: which rows a driver leads to, how many there are, and streams of postings in time order.

All statements are of fixed shape for a number of ranges; parameters are numbers, bytes and text, never parts of the statement.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from gateway.store.index.match.row import ContainsRange, Driver, PostingRange, Rids, Row, StringRange
from gateway.store.index.values import LONGEST
from gateway.store.index.write import BATCHES

__all__ = ["Needles", "fetch", "identified", "load", "marks", "run", "stream", "tally"]

Needles = Sequence[Sequence[int]]
"""Rows have, for each of them, at least one of its keys."""
_ROW = "rid, t, time, updated, keys, spans, amounts, texts"
CHUNK = 500
KEYS = 100
"""Keys of one statement."""
FIRST, MOST = 64, 4096
"""Postings that a stream reads at first and at most at a time."""
TOP = "\U0010ffff"


def _sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _places(sqlite: bool) -> tuple[str, str]:
    """Both tables of postings, up to the condition on the key."""
    return "index_posting AS p WHERE", f"index_fresh AS p WHERE p.batch IN ({BATCHES if sqlite else 0}) AND"


def run(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """Rows of a statement written with `%s`, on either engine."""
    text = statement.replace("%s", "?") if _sqlite(connection) else statement
    return list(connection.exec_driver_sql(text, tuple(parameters)).fetchall())


def marks(values: Sequence[Any]) -> str:
    """Placeholders for these values."""
    return ", ".join(["%s"] * len(values))


def _statements(driver: Driver, limit: int, sqlite: bool) -> Iterator[tuple[str, list[Any]]]:
    """Statements for the rids of a driver, at most `limit` from each place; postings of the same times are read together."""
    together: dict[tuple[int, int], list[int]] = {}
    for range_ in driver:
        if isinstance(range_, Rids):
            continue  # nothing is asked for them
        if isinstance(range_, PostingRange):
            together.setdefault((range_.low, range_.high), []).append(range_.key)
        else:
            yield _one(range_, limit, sqlite)
    for (low, high), keys in together.items():
        for start in range(0, len(keys), KEYS):
            yield _postings(keys[start : start + KEYS], low, high, limit, sqlite)


def _postings(keys: list[int], low: int, high: int, limit: int, sqlite: bool) -> tuple[str, list[Any]]:
    """Statement for the rids of some keys, from both tables. PostgreSQL is led from key to key: of a table that was empty a moment ago its
    planner would rather read all."""
    if sqlite:
        one = f"SELECT * FROM (SELECT p.rid FROM {{}} p.key IN ({marks(keys)}) AND p.t BETWEEN %s AND %s LIMIT %s) AS {{}}"
        return " UNION ALL ".join(one.format(t, a) for t, a in zip(_places(sqlite), "pf", strict=True)), [*keys, low, high, limit] * 2
    one = (
        "SELECT * FROM (SELECT f.rid FROM unnest(%s::bigint[]) AS k(key) CROSS JOIN LATERAL "
        "(SELECT p.rid FROM {} p.key = k.key AND p.t BETWEEN %s AND %s LIMIT %s) AS f LIMIT %s) AS {}"
    )
    return " UNION ALL ".join(one.format(t, a) for t, a in zip(_places(sqlite), "xy", strict=True)), [keys, low, high, limit, limit] * 2


def _one(range_: StringRange | ContainsRange, limit: int, sqlite: bool) -> tuple[str, list[Any]]:
    if isinstance(range_, StringRange):
        return (
            "SELECT * FROM (SELECT rid FROM index_string WHERE slot = %s AND value >= %s AND value < %s LIMIT %s) AS s",
            [range_.slot, range_.prefix, range_.prefix + TOP, limit],
        )
    holds = "instr(value, %s)" if sqlite else "strpos(value, %s)"
    return (
        f"SELECT * FROM (SELECT rid FROM index_string WHERE slot = %s AND ({holds} > 0 OR length(value) >= %s) LIMIT %s) AS s",
        [range_.slot, range_.part, LONGEST, limit],
    )


def fetch(connection: Connection, driver: Driver, limit: int) -> set[int]:
    """The rids a driver leads to; more than `limit` when there are more."""
    found = {rid for r in driver if isinstance(r, Rids) for rid in r.rids}
    for statement, parameters in _statements(driver, limit + 1, _sqlite(connection)):
        found.update(row[0] for row in run(connection, statement, parameters))
        if len(found) > limit:
            break
    return found


def identified(connection: Connection, rids: Iterable[int], system: str | None, value: str) -> list[int]:
    """Which of these resources carry this identifier, exactly (system None: whatever it is), in order."""
    found: list[int] = []
    wanted = sorted(rids)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        for rid, said in run(connection, f"SELECT rid, identifiers FROM index_row WHERE rid IN ({marks(part)})", part):
            if any(v == value and system in (None, s) for _, s, v in msgspec.json.decode(said or b"[]")):
                found.append(rid)
    return sorted(found)


def load(connection: Connection, rids: Sequence[int], needles: Needles = ()) -> Iterator[Row]:
    """Index rows of these resources, in no order; those that are gone, and those without the needles, are left out."""
    held, bytes_ = _holding(needles, _sqlite(connection))
    for start in range(0, len(rids), CHUNK):
        part = rids[start : start + CHUNK]
        for row in run(connection, f"SELECT {_ROW} FROM index_row AS r WHERE r.rid IN ({marks(part)}){held}", [*part, *bytes_]):
            yield Row(*row)


def _holding(needles: Needles, sqlite: bool) -> tuple[str, list[bytes]]:
    """Condition that the keys of a row `r` hold what is asked (the eight bytes of a key, wherever they begin)."""
    holds = "instr(r.keys, %s) > 0" if sqlite else "position(%s in r.keys) > 0"
    each = "".join(f" AND ({' OR '.join([holds] * len(keys))})" for keys in needles)
    return each, [struct.pack("<q", k) for keys in needles for k in keys]


def _filter(needles: Needles, sqlite: bool) -> tuple[str, list[bytes]]:
    """The same of the row of a posting `p`."""
    held, bytes_ = _holding(needles, sqlite)
    return f" AND EXISTS (SELECT 1 FROM index_row AS r WHERE r.rid = p.rid{held})" if held else "", bytes_


def tally(connection: Connection, ranges: Iterable[PostingRange], needles: Needles) -> int:
    """How many postings of the ranges belong to rows that hold the needles."""
    sqlite = _sqlite(connection)
    held, bytes_ = _filter(needles, sqlite)
    found = 0
    for range_ in ranges:
        for table in _places(sqlite):
            statement = f"SELECT count(*) FROM {table} p.key = %s AND p.t BETWEEN %s AND %s{held}"
            found += int(run(connection, statement, [*range_, *bytes_])[0][0])
    return found


def stream(
    connection: Connection, ranges: Sequence[PostingRange], descending: bool, after: tuple[int, int] | None, needles: Needles = ()
) -> Iterator[list[tuple[int, Row]]]:
    """(t of the posting, index row) of the ranges in order of (t, rid), strictly after a place, some at a time; a row stands there once a
    posting. From the second helping on, the engine leaves out rows without the needles."""
    order, beyond = ("DESC", "<") if descending else ("ASC", ">")
    sqlite = _sqlite(connection)
    size = FIRST
    held, bytes_ = "", list[bytes]()
    while True:
        branches: list[str] = []
        parameters: list[Any] = []
        for key, low, high in ranges:
            low, high = _narrowed(low, high, descending, after)
            for table in _places(sqlite):
                place = f" AND (p.t, p.rid) {beyond} (%s, %s)" if after else ""
                branches.append(
                    f"SELECT * FROM (SELECT p.t AS at, p.rid AS who FROM {table} p.key = %s AND p.t BETWEEN %s AND %s{place}{held} "
                    f"ORDER BY p.t {order}, p.rid {order} LIMIT %s) AS b{len(branches)}"
                )
                parameters += [key, low, high, *(after or ()), *bytes_, size]
        postings = f"SELECT DISTINCT at, who FROM ({' UNION ALL '.join(branches)}) AS u ORDER BY at {order}, who {order} LIMIT %s"
        rows = run(connection, postings, [*parameters, size])
        loaded = {row.rid: row for row in load(connection, [who for _, who in rows])}
        yield [(at, loaded[who]) for at, who in rows if who in loaded]
        if len(rows) < size:
            return
        after = (rows[-1][0], rows[-1][1])
        if needles and not held:  # what the engine has to look for may be rare: no more is asked for than a page may need
            held, bytes_ = _filter(needles, sqlite)
            size = FIRST // 2
        else:
            size = min(size * (2 if held else 4), MOST)


def _narrowed(low: int, high: int, descending: bool, after: tuple[int, int] | None) -> tuple[int, int]:
    """The range without what lies before the place already."""
    if after is None:
        return low, high
    return (low, min(high, after[0])) if descending else (max(low, after[0]), high)
