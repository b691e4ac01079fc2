"""Jobs that callers fetch later: leases, bounds, what is dropped and when (docs/api.md, "Answers that are fetched later")."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.config import StoreConfig
from gateway.store import jobs
from gateway.store.database import Database
from gateway.store.jobs import Bounds
from tests.records.county import fresh_schema

POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]
BOUNDS = Bounds(running=2, kept=2, keep=1000)


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database on either engine."""
    if request.param == "postgresql":
        fresh_schema(POSTGRES)
    opened = Database.open(StoreConfig(data=tmp_path, database=POSTGRES if request.param == "postgresql" else None))
    yield opened
    opened.close()


def begun(database: Database, name: str, now: int, client: str = "c", lease: int = 100) -> bool:
    """Begins a job."""
    return jobs.begin(database, (name, "request"), client, now, now + lease, BOUNDS)


def state(database: Database, name: str, now: int, client: str = "c") -> str | None:
    """How a job stands for a client."""
    found = jobs.find(database, name, client, now)
    return None if found is None else found.state


def parts(database: Database) -> int:
    """Pieces that are kept, of all jobs."""
    with database.engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM job_part")) or 0)


def test_a_job_is_in_work_while_its_lease_is_renewed_and_interrupted_after_it(database: Database) -> None:
    assert begun(database, "a", 0)
    assert (state(database, "a", 99), state(database, "a", 100)) == ("running", "interrupted")
    assert jobs.renew(database, "a", 300, "half")
    found = jobs.find(database, "a", "c", 299)
    assert found is not None and (found.state, found.progress) == ("running", "half")
    assert jobs.finish(database, "a", 300)
    assert (state(database, "a", 900), state(database, "a", 999), state(database, "a", 1000)) == ("done", "done", None)
    assert not jobs.finish(database, "a", 301) and not jobs.renew(database, "a", 400)


def test_what_came_of_it_is_read_in_pieces_in_order(database: Database) -> None:
    begun(database, "a", 0)
    for n, piece in enumerate((b"one", b"two", b"three")):
        jobs.add(database, "a", "", n, piece)
    jobs.add(database, "a", "Patient", 0, b"{}")
    jobs.finish(database, "a", 1)
    assert list(jobs.content(database, "a", "")) == [b"one", b"two", b"three"]
    assert list(jobs.content(database, "a", "Patient")) == [b"{}"]
    assert list(jobs.content(database, "a", "Group")) == []


def test_a_caller_has_so_many_in_work_and_one_whose_process_ended_does_not_count(database: Database) -> None:
    assert begun(database, "a", 0) and begun(database, "b", 0)
    assert not begun(database, "c", 1)
    assert begun(database, "d", 1, client="other")
    jobs.finish(database, "a", 2)
    assert begun(database, "c", 2)
    assert begun(database, "e", 500)


def test_the_oldest_make_room_and_what_is_past_its_time_is_dropped(database: Database) -> None:
    for n, name in enumerate("abc"):
        assert begun(database, name, n)
        jobs.add(database, name, "", 0, b"x")
        jobs.finish(database, name, n)
    assert [state(database, name, 3) for name in "abc"] == [None, "done", "done"]
    assert begun(database, "d", 3)
    assert ([state(database, name, 3) for name in "bcd"], parts(database)) == ([None, "done", "running"], 1)
    assert begun(database, "later", 2000, client="other")
    assert parts(database) == 0


def test_nothing_is_left_of_a_job_that_nobody_wants_any_more(database: Database) -> None:
    begun(database, "a", 0)
    jobs.add(database, "a", "", 0, b"x")
    assert not jobs.forget(database, "a", "other")
    assert jobs.forget(database, "a", "c") and not jobs.forget(database, "a", "c")
    jobs.add(database, "a", "", 1, b"y")
    assert not jobs.renew(database, "a", 100) and not jobs.finish(database, "a", 1)
    assert (state(database, "a", 1), parts(database)) == (None, 0)
