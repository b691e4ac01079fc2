"""Small groups go to PostgreSQL in a pipeline, large ones by COPY: both write the same rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from sqlalchemy import make_url

from gateway.store.database import Database
from gateway.store.index.keys import default_indexer
from gateway.store.index.write import IndexRow, IndexWriter
from gateway.store.raw import FEW, Raw
from tests.records.county import fresh_schema

POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = [pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else []
COLUMNS = ("id", "source", "name", "peer", "media_type", "charset", "digest", "size", "received", "state", "rows", "fresh", "repeats", "reason")
READING: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}], "text": "收缩压"},
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": 1.2, "unit": "mmHg"},
}
RESIDENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"text": "张三"}],
    "identifier": [{"system": "urn:card", "value": "7"}],
    "birthDate": "1980-01-01",
}


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database."""
    fresh_schema(POSTGRES)
    found = Database(make_url(POSTGRES))
    found.migrate()
    yield found
    found.close()


def message(first: int, n: int) -> tuple[Any, ...]:
    """A row with every kind of value; what may be missing is missing in every second one."""
    reason = None if n % 2 else '{"text":"原因"}'
    return (first + n, "his", f"消息{n}", "", "text/plain", "utf-8", f"{n:064d}", n << 33, -n, "mapped", n, n % 3 == 0, 0, reason)


WRITTEN = {
    "message": ("id", ", ".join(COLUMNS[1:])),
    "message_chunk": ("message", "n, content"),
    "index_fresh": ("rid", "key, t, batch"),
    "index_row": ("rid", "t, long, time, updated, posted, keys, spans, amounts, texts, identifiers"),
    "index_string": ("rid", "slot, value"),
}
"""Table -> the column that counts from a group's first row, and others."""


def written(database: Database, resources: int, first: int) -> list[list[Any]]:
    """What a group of that size leaves in the tables, its rows counted from `first`."""
    rows = [message(first, n) for n in range(2 * FEW + 3)]
    indexed = [(body["resourceType"], default_indexer().entries(str(body["resourceType"]), body)) for body in (READING, RESIDENT)]
    with database.transaction() as cursor:
        raw = Raw(cursor, "postgresql")
        with raw.together(resources):
            raw.insert("message", COLUMNS, rows)
            raw.insert("message_chunk", ("message", "n", "content"), [(row[0], 0, bytes(range(256))) for row in rows])
            IndexWriter("postgresql").add(cursor, [IndexRow(row[0], type_, 7, e) for row, (type_, e) in zip(rows, cycle(indexed), strict=False)])
        select = "SELECT {0} - ?::bigint, {1} FROM {2} WHERE {0} >= ? ORDER BY {0}, {1}"
        return [raw.rows(select.format(*columns, table), [first, first]) for table, columns in WRITTEN.items()]


def test_a_small_group_writes_what_a_large_one_writes(database: Database) -> None:
    small = written(database, FEW, 1)
    assert all(small)
    assert small == written(database, FEW + 1, 1_000_000)


def test_a_row_that_is_there_already_is_a_lost_race_in_either_way(database: Database) -> None:
    for resources in (FEW, FEW + 1):
        for _ in range(2):  # the connection pool is not left in a state of its own
            with pytest.raises(database.races), database.transaction() as cursor:
                raw = Raw(cursor, "postgresql")
                with raw.together(resources):
                    raw.insert("message", COLUMNS, [message(1, 0), message(1, 0)])
                    raw.insert("message_chunk", ("message", "n", "content"), [(1, 0, b"")])
        with database.transaction() as cursor:
            assert Raw(cursor, "postgresql").rows("SELECT count(*) FROM message") == [(0,)]
