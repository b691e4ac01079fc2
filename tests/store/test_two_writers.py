"""design/store.md, "Writers and readers": several processes write the same keys at once; a feed loses nothing that commits late."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.store import events
from gateway.store.database import Database, transaction
from gateway.store.raw import Raw
from tests.records.county import County, form, fresh_schema, observation

T1 = "2026-01-01T08:00:00.000000Z"
POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]


def url_of(engine: str) -> str | None:
    """URL of an empty test database; None for SQLite."""
    if engine == "sqlite":
        return None
    fresh_schema(POSTGRES)
    return POSTGRES


@pytest.mark.parametrize("engine", ENGINES)
def test_two_writers_on_the_same_keys_agree(engine: str, tmp_path: Path) -> None:
    """Two gateways with their own writers, eight callers each: every record once, every resident once, the shared resource whole."""
    url = url_of(engine)
    shared = {"type": "Organization", "ns": "org", "value": "39", "compose": "merge", "subject": False, "body": {"name": "甲院"}}

    def record(n: int) -> dict[str, object]:
        person = {"id": [f"39000019800101{n % 5:03d}X"], "local": [f"L{n % 7}-{n % 5}"]}
        return form(str(n), T1, [observation(str(n), f"读数{n}"), shared], person=person)

    with County(tmp_path, url) as one:
        two = County.__new__(County)
        two.__dict__.update(one.__dict__)
        two.gateway = type(one.gateway)(one.config, Database.open(one.config.store), one.catalogue, one.clock)
        with two.gateway, ThreadPoolExecutor(16) as callers:
            sent = [callers.submit(c.send, record(n), source=s) for n in range(40) for c, s in ((one, "his"), (two, "his"))]
            states = [f.result(60).state for f in sent]
        two.gateway.database.close()
        assert sorted(set(states)) == ["mapped", "repeat"]
        current = one.current()
        assert sum(n.startswith("Observation/") for n in current) == 40
        assert sum(n.startswith("Organization/") for n in current) == 1
        active = [b for n, b in current.items() if n.startswith("Patient/") and b.get("active") is not False]
        assert len(active) == 5
        names = {f"Patient/{b['id']}" for b in active}
        assert {b["subject"]["reference"] for n, b in current.items() if n.startswith("Observation/")} <= names
        assert one.rows("SELECT count(*) FROM record") == [(40,)]
        assert one.rows("SELECT count(*) FROM record_version") == [(40,)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_feed_waits_for_a_transaction_held_open(engine: str, tmp_path: Path) -> None:
    """A writer that took its sequence and commits late is not skipped: readers stay below it, or nobody could commit before it."""
    url = url_of(engine)
    with County(tmp_path, url) as county:
        county.send(form("0", T1, [observation("0", "零")]))
        held = county.database.raw()
        seen: list[int] = []
        with transaction(held, county.database.dialect) as cursor:
            raw = Raw(cursor, county.database.dialect)
            late = raw.sequence()
            raw.insert(
                "event",
                ("seq", "time", "kind", "source", "message", "record", "version", "actor", "resources"),
                [(late, 0, "late", "", None, None, None, "", "[]")],
            )
            waiting = county.later(form("1", T1, [observation("1", "一")]))
            for _ in range(4):
                time.sleep(0.05)
                with county.database.engine.connect() as connection:
                    seen += [e.seq for e in events.feed(connection, after=seen[-1] if seen else 0)]
            assert late not in seen
        held.close()
        waiting.result(30)
        with county.database.engine.connect() as connection:
            seen += [e.seq for e in events.feed(connection, after=seen[-1])]
        everything = [r[0] for r in county.rows("SELECT seq FROM event ORDER BY seq")]
        assert late in seen
        assert seen == everything
