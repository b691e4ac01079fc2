"""Every resource of a type is read once, on both engines (gateway/store/walk.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.fhir.elements import load
from gateway.store import walk as module
from gateway.store.database import Database
from gateway.store.index.keys import Indexer
from gateway.store.walk import walk
from tests.store.index_harness import SCOPE
from tests.store.search_samples import patient
from tests.store.test_reindex import database, put

__all__ = ["database"]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three resources at a time."""
    monkeypatch.setattr(module, "PORTION", 3)


def ids(database: Database, type_: str = "Patient") -> list[str]:
    return [json.loads(content)["id"] for content in walk(database, type_, SCOPE)]


def test_each_resource_of_the_type_is_read_once_and_deleted_ones_are_not(database: Database, tmp_path: Path) -> None:
    bodies = [patient(f"p{n}") for n in range(8)]
    put(database, Indexer(load()), [*bodies, {"resourceType": "Basic", "id": "b"}])
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE resource SET deleted = :yes WHERE id = 'p4'"), {"yes": True})
    assert ids(database) == [f"p{n}" for n in range(8) if n != 4]
    assert ids(database, "Basic") == ["b"] and ids(database, "Group") == []


def test_what_is_written_meanwhile_neither_doubles_nor_loses_one(database: Database) -> None:
    put(database, Indexer(load()), [patient(f"p{n}") for n in range(7)])
    told: list[tuple[int, int]] = []
    reading = walk(database, "Patient", SCOPE, lambda done, total: told.append((done, total)))
    found = [next(reading)]
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE resource SET version = 2, seq = seq + 1000, content = :c WHERE id = 'p5'"), {"c": b'{"id": "p5", "new": 1}'})
    put(database, Indexer(load()), [patient("late")], first=100)
    found += reading
    read = [json.loads(content) for content in found]
    assert [r["id"] for r in read] == [f"p{n}" for n in range(7)]
    assert read[5].get("new") == 1, "as it is when it is read"
    assert told == [(3, 7), (6, 7), (7, 7)]
