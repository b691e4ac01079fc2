"""Reads the index: which rows a driver leads to, how many there are, and the rows themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from gateway.store.index.match.row import ContainsRange, Driver, PostingRange, Rids, Row, StringRange
from gateway.store.index.statements import NOTHING, Demand, Needles, by_index, demanded, grouped, holding, is_sqlite, keyed, marks, numbers, run
from gateway.store.index.values import LONGEST

__all__ = ["CHUNK", "fetch", "identified", "load", "marks", "run", "tally", "weight"]

_ROW = "rid, t, time, updated, keys, spans, amounts, texts"
CHUNK = 500
TOP = "\U0010ffff"


def _statements(driver: Driver, limit: int, sqlite: bool) -> Iterator[tuple[str, list[Any]]]:
    """Statements for the rids of a driver, each for at most `limit` entries; postings of the same times are read together."""
    for range_ in driver:
        if not isinstance(range_, Rids | PostingRange):  # nothing is asked for known rids
            yield _one(range_, limit, sqlite)
    for group in grouped(r for r in driver if isinstance(r, PostingRange)):
        statement, parameters = keyed(group, sqlite, "p.rid", f"{by_index(sqlite)} LIMIT %s", [limit])
        yield f"{statement} LIMIT %s", [*parameters, limit]


def _one(range_: StringRange | ContainsRange, limit: int, sqlite: bool) -> tuple[str, list[Any]]:
    if isinstance(range_, StringRange):
        statement = "SELECT rid FROM index_string WHERE slot = %s AND value >= %s AND value < %s LIMIT %s"
        return statement, [range_.slot, range_.prefix, range_.prefix + TOP, limit]
    holds = "instr(value, %s)" if sqlite else "strpos(value, %s)"
    statement = f"SELECT rid FROM index_string WHERE slot = %s AND ({holds} > 0 OR length(value) >= %s) LIMIT %s"
    return statement, [range_.slot, range_.part, LONGEST, limit]


def fetch(connection: Connection, driver: Driver, limit: int) -> set[int]:
    """The rids a driver leads to; more than `limit` when there are more."""
    found = {rid for r in driver if isinstance(r, Rids) for rid in r.rids}
    asked = limit + 1
    while True:
        cut = False
        for statement, parameters in _statements(driver, asked, is_sqlite(connection)):
            rids = numbers(connection, statement, parameters)
            found.update(rids)
            cut |= len(rids) == asked
            if len(found) > limit:
                return found
        if not cut:
            return found
        asked *= 4  # a resource stands there several times, and what was cut off may be another one


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
    held, bytes_ = holding(needles, is_sqlite(connection))
    for start in range(0, len(rids), CHUNK):
        part = rids[start : start + CHUNK]
        for row in run(connection, f"SELECT {_ROW} FROM index_row AS r WHERE r.rid IN ({marks(part)}){held}", [*part, *bytes_]):
            yield Row(*row)


def weight(connection: Connection, driver: Driver, limit: int) -> int:
    """How many postings a driver has, counted no further than about `limit`."""
    found = 0
    for statement, parameters in _statements(driver, limit, is_sqlite(connection)):
        found += int(run(connection, f"SELECT count(*) FROM ({statement}) AS s", parameters)[0][0])
        if found >= limit:
            break
    return found


def tally(connection: Connection, ranges: Iterable[PostingRange], demand: Demand = NOTHING) -> int:
    """How many resources have a posting in one of the ranges and what is demanded."""
    sqlite, groups = is_sqlite(connection), grouped(ranges)
    branches: list[str] = []
    parameters: list[Any] = []
    for group in groups:
        held, values = demanded(demand, group.keys[0] & 1, sqlite)
        statement, own = keyed(group, sqlite, "p.rid", held + by_index(sqlite), values)
        branches.append(statement)
        parameters += own
    if not branches:
        return 0
    if len({key | 1 for group in groups for key in group.keys}) == 1:
        counted = " + ".join(f"(SELECT count(*) FROM ({branch}) AS b{n})" for n, branch in enumerate(branches))
        return int(run(connection, f"SELECT {counted}", parameters)[0][0])
    each = " UNION ALL ".join(branches)  # a resource may stand under several of the keys
    return int(run(connection, f"SELECT count(DISTINCT rid) FROM ({each}) AS b", parameters)[0][0])
