"""The database is full or read-only for a while; a restored PostgreSQL; residents linked and parted by two processes at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from gateway.errors import Conflict, TransientError
from gateway.fhir.json import decode
from gateway.record import Incoming
from gateway.store.database import Database, transaction
from gateway.store.index.write import IndexWriter
from gateway.store.raw import SPAN, Raw
from tests.records.county import County, form, fresh_schema, observation

POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
T1, T2 = "2026-01-01T08:00:00.000000Z", "2026-01-02T08:00:00.000000Z"
A = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
B = {"id": ["390000197505050024"], "name": "王丙", "sex": "female", "born": "1975-05-05"}


@pytest.mark.parametrize("pragma", ["max_page_count = 1", "query_only = ON"])
def test_a_full_or_read_only_disk_is_said_to_be_transient_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pragma: str) -> None:
    away = False
    opened: Callable[[Database], Any] = Database.raw

    def raw(database: Database) -> Any:
        connection = opened(database)
        if away:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    with County(tmp_path) as county:
        county.send(form("1", T1, [observation("a", "一")], person=A))
        monkeypatch.setattr(Database, "raw", raw)
        away = True
        county.gateway.writer._forget()  # the next group opens its connection anew
        large = form("2", T1, [observation(str(n), "二" * 2000) for n in range(40)], person=B)
        with pytest.raises(TransientError):
            county.send(large)
        assert county.rows("SELECT count(*) FROM record") == county.rows("SELECT count(*) FROM message") == [(1,)]
        away = False
        assert county.send(large).state == "mapped"
        assert county.rows("SELECT count(*) FROM resource WHERE type = 'Observation'") == [(41,)]


def test_a_merge_of_the_index_that_fails_stops_no_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(IndexWriter, "merge_step", broken)
    with County(tmp_path) as county, capture_logs() as lines:
        county.gateway.writer._merge_at = 0
        for n in range(3):
            assert county.send(form(str(n), T1, [observation(str(n), "一")], person=A)).state == "mapped"
        assert county.gateway.writer.alive
    assert "index_merge_failed" in [line["event"] for line in lines]


def two(tmp_path: Path, url: str | None) -> tuple[County, County]:
    """Two gateways on one database, neither started."""
    one = County(tmp_path, url)
    other = County.__new__(County)
    other.__dict__.update(one.__dict__)
    other.gateway = type(one.gateway)(one.config, Database.open(one.config.store), one.catalogue, one.clock)
    return one, other


@pytest.mark.parametrize("engine", ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])])
def test_link_and_unlink_race_with_records_of_two_processes(tmp_path: Path, engine: str) -> None:
    """Whatever order they take: every reference points where its claim stands at the end, and nobody is left half linked."""
    if engine == "postgresql":
        fresh_schema(POSTGRES)
    one, other = two(tmp_path, POSTGRES if engine == "postgresql" else None)
    with one, other.gateway, ThreadPoolExecutor(6) as callers:
        for n, person in enumerate((A, B)):
            one.send(form(f"first{n}", T1, [observation(f"first{n}", "一")], person=person))
        a, b = (patient_of(one, f"first{n}") for n in range(2))

        def send(gateway: County, n: int) -> None:
            record = form(str(n), T2, [observation(str(n), "读数")], person=(A, B)[n % 2])
            gateway.gateway.accept("his", Incoming(json.dumps([record]).encode())).result(60)

        def decide(gateway: County, n: int) -> None:
            try:
                if n % 2:
                    gateway.gateway.unlink(max(a, b, key=lambda p: rid_of(one, p)), by="test")
                else:
                    gateway.gateway.link(a, b, by="test")
            except Conflict:
                return  # they were linked, or parted, already

        waiting = [callers.submit(send, g, 2 * n + i) for n in range(12) for i, g in enumerate((one, other))]
        waiting += [callers.submit(decide, g, n) for n in range(6) for g in (one, other)]
        for future in waiting:
            future.result(60)
        for last in ("link", "unlink"):
            try:
                getattr(one.gateway, last)(*((a, b) if last == "link" else (max(a, b, key=lambda p: rid_of(one, p)),)), by="test")
            except Conflict:
                assert last == "link"
            pointed = {patient_of(one, value) for value in [*map(str, range(24)), "first0", "first1"]}
            assert len(pointed) == (1 if last == "link" else 2)
            stands = one.rows("SELECT DISTINCT r.resident, s.patient FROM resource r JOIN patient_link l ON l.resource = r.rid "
                              "JOIN source_patient s ON s.id = l.source_patient")  # fmt: skip
            assert all(resident == patient for resident, patient in stands)
    other.database.close()
    other.gateway.database.close()


def patient_of(county: County, value: str) -> str:
    """Id of the Patient that the Observation with this business number refers to."""
    for (content,) in county.rows("SELECT content FROM resource WHERE type = 'Observation'"):
        body = decode(bytes(content))
        if body["identifier"][0]["value"] == value:
            return str(body["subject"]["reference"]).removeprefix("Patient/")
    raise AssertionError(value)


def rid_of(county: County, patient: str) -> int:
    """Row number of a Patient: the older one survives a link."""
    return int(county.rows("SELECT rid FROM resource WHERE id = :id", id=patient)[0][0])


if POSTGRES:

    @pytest.mark.postgres
    def test_a_restored_postgresql_goes_on_counting_above_what_it_holds(tmp_path: Path) -> None:
        fresh_schema(POSTGRES)
        with County(tmp_path, POSTGRES) as county:
            county.send(form("1", T1, [observation("a", "一")], person=A))
            far = (1 << 40) << SPAN  # as dumped on a server whose transaction ids had come much further
            with county.database.engine.begin() as connection:
                connection.execute(text("UPDATE event SET seq = seq + :far"), {"far": far})
            again = Database.open(county.config.store)
            with again.raw() as connection, transaction(connection, "postgresql") as cursor:
                first = Raw(cursor, "postgresql").sequence()
            with again.raw() as connection, transaction(connection, "postgresql") as cursor:
                second = Raw(cursor, "postgresql").sequence()
            again.close()
            assert county.rows("SELECT max(seq) FROM event")[0][0] < first < second
