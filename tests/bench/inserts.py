"""Cost of a resource through the real writer against a bare prototype of the same rows.

Synthetic reports of twenty results are mapped beforehand. The writer commits them in groups; every `INSERT` it made with its rows is
replayed with `executemany` on a second database of the same schema, one transaction a group. The prototype therefore writes the same
rows of message, record, contribution, resource, event, delivery and index, without finding out what they should be; what the writer
reads, and its share of merging the index, is the difference. Both are measured on the wall, the disk's part included, group by group.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.builtin import MAPPINGS
from gateway.clock import SystemClock
from gateway.collector import settle
from gateway.config import StoreConfig
from gateway.record import MapResult
from gateway.store.database import Database
from gateway.store.index.keys import default_indexer
from gateway.store.rules import Rules
from gateway.store.work import Item, NewMessage, Work
from gateway.store.writer import Writer
from tests.bench.mapping import CONTEXT, ORGANISATION, binding
from tests.bench.measure import Figure
from tests.bench.messages import oru

GROUP = 10
"""Messages a commit: about 220 resources, as in design/store.md."""
WINDOW = 40
"""Groups at the end of a size that its figure is taken from."""
PERSONS = 5000

Statement = tuple[str, Sequence[Sequence[Any]]]


_MANY_ROWS = re.compile(r"(INSERT .*? VALUES )(\((?:\?,)*\?\))(?:,\2)+(.*)", re.DOTALL)


class _Cursor:
    """Passes everything on and remembers what was inserted, as statements of one row."""

    def __init__(self, cursor: sqlite3.Cursor, kept: list[Statement]) -> None:
        self._cursor, self._kept = cursor, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Runs a statement; one that inserts many rows is remembered."""
        if many := _MANY_ROWS.fullmatch(sql):
            width = many[2].count("?")
            self._kept.append((f"{many[1]}{many[2]}{many[3]}", [values[n : n + width] for n in range(0, len(values), width)]))
        return self._cursor.execute(sql, values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> sqlite3.Cursor:
        """Runs and remembers a statement."""
        if sql.startswith("INSERT"):
            self._kept.append((sql, rows))
        return self._cursor.executemany(sql, rows)


class _Connection:
    def __init__(self, connection: sqlite3.Connection, kept: list[Statement]) -> None:
        self._connection, self._kept = connection, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> _Cursor:
        """A remembering cursor."""
        return _Cursor(self._connection.cursor(), self._kept)


class _Recorded(Database):
    """A database whose writer's inserts are remembered in `kept`."""

    kept: list[Statement]

    def raw(self) -> Any:
        return _Connection(super().raw(), self.kept)


def inserts(sizes: Sequence[int], build: Path, say: Callable[[str], None]) -> list[Figure]:
    """One figure a size (resources in the database when it is taken)."""
    folder = build / "inserts"
    shutil.rmtree(folder, ignore_errors=True)
    database, bare = _Recorded.open(StoreConfig(data=folder / "ours")), Database.open(StoreConfig(data=folder / "bare"))
    assert isinstance(database, _Recorded)
    database.kept = []
    writer = Writer(database, SystemClock(), Rules.from_folder(MAPPINGS), default_indexer(), destinations=["sink"])
    connection = bare.raw()
    prepared = _preparer()
    settle()  # as `yifang serve` does
    held, number, figures = 0, 0, []
    ours: list[float] = []
    reference: list[float] = []
    for size in sizes:
        while held < size:
            works = prepared(number)
            number += GROUP
            resources = sum(len(i.result.drafts) for w in works for i in w.items)
            held += resources
            began = time.perf_counter()
            writer.step(works)
            between = time.perf_counter()
            _replay(connection, database.kept)
            ended = time.perf_counter()
            database.kept.clear()
            for work in works:
                work.future.result()
            ours.append((between - began) / resources * 1e6)
            reference.append((ended - between) / resources * 1e6)
            if number % (GROUP * 500) == 0:
                say(f"{held} resources")
        a, b = statistics.fmean(ours[-WINDOW:]), statistics.fmean(reference[-WINDOW:])
        figures.append(
            Figure(
                f"Insert through the writer at {size:,}",
                "µs/resource",
                a,
                b,
                a / b,
                "≤ 1.5×",
                a / b <= 1.5,
                "reference: the same rows by executemany",
            )
        )
    connection.close()
    writer.close()
    for opened in (database, bare):
        opened.close()
    shutil.rmtree(folder)
    return figures


def _preparer() -> Callable[[int], list[Work]]:
    """Works of GROUP messages from a number on, mapped already."""
    bound = binding("hl7v2_oru/standard")
    profile = bound.profile_of("hl7v2_oru")

    def prepared(first: int) -> list[Work]:
        works = []
        for n in range(first, first + GROUP):
            content = oru(n, n % PERSONS)
            (row,) = bound.extract(content)
            record = bound.record(row)
            result: MapResult = bound.map(record, CONTEXT)
            message = NewMessage(
                "lis", f"M{n:08d}", "127.0.0.1", "x-application/hl7-v2+er7", "utf-8", hashlib.sha256(content).hexdigest(), len(content), [content]
            )
            works.append(Work("lis", ORGANISATION, message, [Item(record, result, profile.mode, profile.version, 0)]))
        return works

    return prepared


def _replay(connection: Any, statements: Sequence[Statement]) -> None:
    """The bare prototype: the same rows, one transaction."""
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    for sql, rows in statements:
        cursor.executemany(sql, rows)
    cursor.execute("COMMIT")
