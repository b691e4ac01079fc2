"""Raw SQL of the hot path on both engines: sets by JSON array (SQLite) or array (PostgreSQL), inserts by statements of many rows or COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import chain
from typing import Any

from gateway.fhir.json import encode

__all__ = ["Raw", "insert_rows", "pipelined", "put_rows"]

STEPS = (64, 8)
"""SQLite: rows that one statement inserts. At each statement other threads get the interpreter, so few large ones are written sooner,
and 64 rows at once cost about half of 64 single ones."""

FEW = 16
"""PostgreSQL: a group of so many resources sends its rows without waiting for an answer to each statement. A larger one sends them by COPY,
which needs two round trips a table and less work a row."""

SPAN = 20
"""PostgreSQL: a commit sequence is (transaction id << SPAN) + n, so that its order is that of transaction ids and a feed that reads
below the oldest open transaction loses nothing (gateway/store/events.py)."""


class Raw:
    """One write transaction's cursor. SQL is written with `?`; `{}` stands for a set of values given by `among`."""

    def __init__(self, cursor: Any, dialect: str) -> None:
        self.cursor = cursor
        self.sqlite = dialect == "sqlite"
        self._seq = 0
        self._spare: list[int] = []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        return list(self.cursor.execute(sql if self.sqlite else sql.replace("?", "%s"), tuple(parameters)).fetchall())

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Runs one statement; the number of rows it touched."""
        return int(self.cursor.execute(sql if self.sqlite else sql.replace("?", "%s"), tuple(parameters)).rowcount)

    def among(self, sql: str, values: Iterable[Any], lock: str = "") -> list[Any]:
        """Rows of `… WHERE column {}`, the column being one of the values. lock (PostgreSQL): `FOR UPDATE` or `FOR SHARE`."""
        wanted = sorted(set(values))
        if not wanted:
            return []
        if self.sqlite:
            return self.rows(sql.format("IN (SELECT value FROM json_each(?))"), [encode(wanted).decode()])
        return self.rows(sql.format("= ANY(?)") + (f" {lock}" if lock else ""), [wanted])

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Inserts many rows; a row that is there already is an error of the engine."""
        if not rows:
            return
        if self.sqlite:
            insert_rows(self.cursor, f"INSERT INTO {table} ({','.join(columns)})", len(columns), rows)
            return
        put_rows(self.cursor, table, columns, rows)

    def together(self, resources: int) -> AbstractContextManager[Any]:
        """What is written inside is answered at its end, where a small group would mostly wait for the server."""
        return nullcontext() if self.sqlite or resources > FEW else self.cursor.connection.pipeline()

    def upsert(self, table: str, key: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Inserts rows (key columns first, then `columns`) or replaces `columns` where the key is there."""
        if not rows:
            return
        names = (*key, *columns)
        action = "UPDATE SET " + ",".join(f"{c}=excluded.{c}" for c in columns) if columns else "NOTHING"
        head, tail = f"INSERT INTO {table} ({','.join(names)})", f" ON CONFLICT ({','.join(key)}) DO {action}"
        if self.sqlite:
            insert_rows(self.cursor, head, len(names), rows, tail)
        else:
            self.cursor.executemany(_rows(head, len(names), 1, tail, "%s"), rows)

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs one statement for each row of parameters."""
        if rows:
            self.cursor.executemany(sql if self.sqlite else sql.replace("?", "%s"), rows)

    def number(self) -> int:
        """A new id. Never used twice; a transaction that fails leaves gaps."""
        if not self._spare:
            self.reserve(64)
        return self._spare.pop()

    def reserve(self, count: int) -> None:
        """Fetches ids ahead, so that many cost one statement."""
        if self.sqlite:
            self.cursor.execute("INSERT INTO counter (name, value) VALUES ('number', 0) ON CONFLICT DO NOTHING")
            last = self.rows("UPDATE counter SET value = value + ? WHERE name = 'number' RETURNING value", [count])[0][0]
            new = list(range(last, last - count, -1))
        else:
            new = [r[0] for r in self.rows("SELECT nextval('yifang_number') FROM generate_series(1, ?)", [count])][::-1]
        self._spare = new + self._spare  # popped from the end: what was fetched first goes first

    def sequence(self) -> int:
        """The next commit sequence (µs-free order of events): larger than every one that a finished transaction used."""
        if self.sqlite:
            return self.number()
        if not self._seq:
            ((present, offset),) = self.rows("SELECT pg_current_xact_id()::text::bigint, (SELECT value FROM setting WHERE name = 'sequence-offset')")
            self._seq = (present + int(bytes(offset or b"0"))) << SPAN
        self._seq += 1
        return self._seq

    def lock(self, names: Iterable[str]) -> None:
        """PostgreSQL: holds these names until the transaction ends, taken in sorted order. SQLite has one writer anyway."""
        if not self.sqlite:
            for name in sorted(set(names)):
                self.cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))


def pipelined(cursor: Any) -> bool:
    """PostgreSQL: whether statements are sent without waiting for their answers; COPY cannot be."""
    return bool(cursor.connection.pgconn.pipeline_status)


def put_rows(cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """PostgreSQL: inserts rows, by COPY or, in a pipeline, by statements of FEW; a row that is there already is an error of the engine."""
    names = ",".join(columns)
    if pipelined(cursor):
        for at in range(0, len(rows), FEW):
            part = rows[at : at + FEW]
            cursor.execute(_rows(f"INSERT INTO {table} ({names})", len(columns), len(part), "", "%s"), list(chain.from_iterable(part)))
        return
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def insert_rows(cursor: Any, head: str, width: int, rows: Sequence[Sequence[Any]], tail: str = "") -> None:
    """SQLite: `head VALUES (…), (…) … tail` for all rows, many a statement. width: values of a row."""
    at = 0
    for step in STEPS:
        while len(rows) - at >= step:
            cursor.execute(_rows(head, width, step, tail), list(chain.from_iterable(rows[at : at + step])))
            at += step
    if at < len(rows):
        cursor.executemany(_rows(head, width, 1, tail), rows[at:])


@lru_cache(maxsize=512)
def _rows(head: str, width: int, rows: int, tail: str, mark: str = "?") -> str:
    marks = f"({','.join([mark] * width)})"
    return f"{head} VALUES {','.join([marks] * rows)}{tail}"
