"""What the statements that read the index are made of: of fixed shape for a number of keys; values are parameters, never parts of the text.

Every statement that looks for postings looks into both tables at once: a merge that moves some between two statements hides none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from gateway.store.index.match.row import PostingRange
from gateway.store.index.spans import HIGHEST, LOWEST
from gateway.store.index.write import BATCHES

__all__ = [
    "NOTHING",
    "Demand",
    "Group",
    "Needles",
    "by_index",
    "demanded",
    "grouped",
    "holding",
    "is_sqlite",
    "keyed",
    "marks",
    "numbers",
    "places",
    "run",
]

Needles = Sequence[Sequence[int]]
"""Rows have, for each of them, at least one of its keys."""
KEYS = 1000
"""Keys of one group."""


class Demand(NamedTuple):
    """What resources must have besides the posting that leads to them. posted: for each, keys of which they have a posting, too (even ones;
    all postings of a resource stand at the same t, so that each is found at once). needles: for each, keys of which their row has one."""

    posted: tuple[tuple[int, ...], ...] = ()
    needles: tuple[tuple[int, ...], ...] = ()


NOTHING = Demand()


class Group(NamedTuple):
    """Postings that are read together: of keys that are all even or all odd, in one span of t."""

    keys: list[int]
    low: int
    high: int


def is_sqlite(connection: Connection) -> bool:
    """Which engine is asked."""
    return connection.dialect.name == "sqlite"


def run(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """Rows of a statement written with `%s`, on either engine."""
    text = statement.replace("%s", "?") if is_sqlite(connection) else statement
    return list(connection.exec_driver_sql(text, tuple(parameters)).fetchall())


def numbers(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[int]:
    """The same of a statement whose rows are one whole number each. SQLite gives them as one text: for every row it would give the interpreter
    lock away."""
    if not is_sqlite(connection):
        return [row[0] for row in run(connection, statement, parameters)]
    ((text,),) = run(connection, f"SELECT json_group_array(x.rid) FROM ({statement}) AS x", parameters)
    return msgspec.json.decode(text, type=list[int])


def marks(values: Sequence[Any]) -> str:
    """Placeholders for these values."""
    return ", ".join(["%s"] * len(values))


def places(sqlite: bool, name: str = "p") -> tuple[str, str]:
    """Both tables of postings under a name, up to the condition on the key."""
    return f"index_posting AS {name} WHERE", f"index_fresh AS {name} WHERE {name}.batch IN ({BATCHES if sqlite else 0}) AND"


def grouped(ranges: Iterable[PostingRange]) -> list[Group]:
    """The ranges, those of the same span together; empty spans are left out."""
    together: dict[tuple[int, int, int], list[int]] = {}
    for key, low, high in ranges:
        if low <= high:
            together.setdefault((key & 1, low, high), []).append(key)
    return [Group(keys[n : n + KEYS], low, high) for (_, low, high), keys in together.items() for n in range(0, len(keys), KEYS)]


def keyed(group: Group, sqlite: bool, columns: str, rest: str = "", values: Sequence[Any] = ()) -> tuple[str, list[Any]]:
    """Statement for some columns of a posting `p` of a group, from both tables. rest: more conditions, order and limit, of each table (of
    each key on PostgreSQL, which is led from key to key (`OFFSET 0` keeps it there): of a table that was empty a moment ago its planner would
    rather read all)."""
    keys, low, high = group
    span, bounds = (" AND p.t BETWEEN %s AND %s", [low, high]) if (low, high) != (LOWEST, HIGHEST) else ("", [])
    if sqlite:
        one = f"SELECT * FROM (SELECT {columns} FROM {{}} p.key IN ({marks(keys)}){span}{rest}) AS {{}}"
        parameters = [*keys, *bounds, *values]
    else:
        one = (
            f"SELECT {{1}}.* FROM unnest(%s::bigint[]) AS k{{1}}(key) CROSS JOIN LATERAL "
            f"(SELECT {columns} FROM {{0}} p.key = k{{1}}.key{span}{rest} OFFSET 0) AS {{1}}"
        )
        parameters = [list(keys), *bounds, *values]
    return " UNION ALL ".join(one.format(table, name) for table, name in zip(places(sqlite), "xy", strict=True)), parameters * 2


def by_index(sqlite: bool) -> str:
    """Order that keeps PostgreSQL to its index where any order would do: one key (when resources were written) fills much of the fresh
    postings, and its planner takes every key for such a one."""
    return "" if sqlite else " ORDER BY p.t, p.rid"


def holding(needles: Needles, sqlite: bool) -> tuple[str, list[bytes]]:
    """Condition that the keys of a row `r` hold what is asked (the eight bytes of a key, wherever they begin)."""
    holds = "instr(r.keys, %s) > 0" if sqlite else "position(%s in r.keys) > 0"
    each = "".join(f" AND ({' OR '.join([holds] * len(keys))})" for keys in needles)
    return each, [struct.pack("<q", k) for keys in needles for k in keys]


def demanded(demand: Demand, odd: int, sqlite: bool) -> tuple[str, list[Any]]:
    """Condition that the resource of a posting `p` has what is demanded; odd: the last bit of its postings' keys. SQLite would have to look
    into every batch of fresh postings, and gathers them once; PostgreSQL would gather merged ones, too, without `OFFSET 0`."""
    text, parameters = "", list[Any]()
    merged, fresh = places(sqlite, "q")
    for even in demand.posted:
        keys = [key | odd for key in even]
        here, same = f"q.key IN ({marks(keys)})", "q.t = p.t AND q.rid = p.rid"
        if sqlite:
            recent = f"(p.t, p.rid) IN (SELECT q.t, q.rid FROM {fresh} {here})"
        else:
            same += " OFFSET 0"
            recent = f"EXISTS (SELECT 1 FROM {fresh} {here} AND {same})"
        text += f" AND (EXISTS (SELECT 1 FROM {merged} {here} AND {same}) OR {recent})"
        parameters += [*keys, *keys]
    held, bytes_ = holding(demand.needles, sqlite)
    if held:
        text += f" AND EXISTS (SELECT 1 FROM index_row AS r WHERE r.rid = p.rid{held})"
    return text, [*parameters, *bytes_]
