"""Searches at two sizes of the store, through `Searcher.search` on the embedded database (or the PostgreSQL of YIFANG_TEST_POSTGRES).

A county in small: for every 200 resources one resident, with 160 results of 8 items, and Tasks of which one in a hundred is requested.
Thirty in a hundred results are written a second time, as a corrected version, after all are there; the index is merged but for the last
commits. Figures are milliseconds of a search by the clock, and of its processor time; each size is asked the same questions.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import make_url, text

from gateway.fhir.query import parse_query
from gateway.store.database import Database
from gateway.store.index.keys import default_indexer
from gateway.store.index.write import START, IndexRow, IndexWriter
from gateway.store.raw import Raw
from gateway.store.scope import Scope
from gateway.store.search import Searcher
from tests.bench.measure import Figure

RESIDENT = 200
"""Resources for each resident."""
ITEMS = ("718-7", "4548-4", "2339-0", "2160-0", "1742-6", "1920-8", "2085-9", "2571-8")
COMMIT = 1000
BEGAN, STEP = 1_700_000_000_000_000, 20_000
ROUNDS = 60
SURNAMES, GIVEN = "欧阳司徒上官诸葛东方赵钱孙李周吴郑王", "澄清明远志成文思和静安宁"
COLUMNS = ("rid", "type", "id", "version", "seq", "time", "deleted", "custodian", "content")
LIMIT = 50.0
"""ms that no question may take in the middle."""

QUESTIONS: dict[str, tuple[str, str]] = {
    "patient + code + date, 20 rows": ("Observation", "patient=p{p}&code=http://loinc.org|{c}&date=ge2025-01-01&_count=20"),
    "Task?status=requested": ("Task", "status=requested&_count=20"),
    "string prefix": ("Patient", "name={n}&_count=20"),
    "_lastUpdated=gt": ("Observation", "_lastUpdated=gt2023-11-14T22:14:00Z&_sort=_lastUpdated&_count=20"),
    "patient, _total": ("Observation", "patient=p{p}&_total=accurate&_count=20"),
    "code, _total": ("Observation", "code={c}&_total=accurate&_count=20"),
    "status, _total": ("Task", "status=requested&_total=accurate&_count=20"),
    "code + status that few have": ("Observation", "code={c}&status=corrected&_count=20"),
    "chain": ("Observation", "patient.identifier=urn:card|{p}&code={c}&_count=20"),
    "_include": ("Observation", "patient=p{p}&code={c}&_include=Observation:patient&_count=20"),
}


def search(sizes: Sequence[int], build: Path, say: Callable[[str], None]) -> list[Figure]:
    """Two figures for each question and size: the middle and the 99th of a hundred; from the second size on, against the first."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for size in sizes:
        folder = build / "search"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        database, close = _database(folder)
        fill(database, size, say)
        searcher, scope = Searcher(default_indexer()), Scope.all("bench")
        for name in QUESTIONS:
            spent, worked = _asked(database, searcher, scope, name, size)
            middle, late = statistics.median(spent), sorted(spent)[int(len(spent) * 0.99)]
            before = first.setdefault(name, statistics.median(worked))
            ratio = statistics.median(worked) / before
            grown = size != sizes[0]
            note = f"p99 {late:.1f} ms; processor {statistics.median(worked):.2f} ms"
            figures.append(Figure(f"{name} at {size:,}", "ms", middle, None, None, f"≤ {LIMIT:g} ms", middle <= LIMIT, note))
            if grown and name == next(iter(QUESTIONS)):
                worked_note = "processor time, against the first size"
                figures.append(Figure(f"{name}: growth", "ms", statistics.median(worked), before, ratio, "≤ 1.5×", ratio <= 1.5, worked_note))
        close()
        shutil.rmtree(folder)
    return figures


def _asked(database: Database, searcher: Searcher, scope: Scope, name: str, size: int) -> tuple[list[float], list[float]]:
    """ms of a question by the clock and of the processor, over residents and items drawn alike at every size."""
    type_, pattern = QUESTIONS[name]
    drawn = random.Random(name)
    spent: list[float] = []
    worked: list[float] = []
    for n in range(ROUNDS + 5):
        resident = drawn.randrange(size // RESIDENT)
        query = parse_query(pattern.format(p=resident, c=drawn.choice(ITEMS), n=_name(resident)[:2]))
        began, clock = time.perf_counter(), time.thread_time()
        with database.engine.connect() as connection:
            page = searcher.search(connection, type_, query, scope)
        if n >= 5:  # before, caches fill
            spent.append((time.perf_counter() - began) * 1000)
            worked.append((time.thread_time() - clock) * 1000)
        assert page.rows, f"{name}: nothing was found"
    return spent, worked


def _database(folder: Path) -> tuple[Database, Callable[[], None]]:
    """An empty, migrated database and what takes it away."""
    named = os.environ.get("YIFANG_TEST_POSTGRES")
    if named is None:
        database = Database(make_url(f"sqlite:///{folder}/yifang.sqlite3"))
        database.migrate()
        return database, database.close
    admin = Database(make_url(named))
    name = f"bench_{uuid4().hex}"
    with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database = Database(make_url(named).set(database=name))
    database.migrate()

    def close() -> None:
        database.close()
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        admin.close()

    return database, close


def fill(database: Database, size: int, say: Callable[[str], None]) -> None:
    """Writes `size` resources and their corrections with the writer's own statements, without its messages and records."""
    writer, rid = IndexWriter(database.dialect), 0
    bodies = _resources(size)
    corrected: list[int] = []
    drawn = random.Random(7)
    while part := [body for _, body in zip(range(COMMIT), bodies, strict=False)]:
        with database.transaction() as cursor:
            rows = []
            for body in part:
                rid += 1
                rows.append(_row(rid, body))
                if body["resourceType"] == "Observation" and drawn.random() < 0.3:
                    corrected.append(rid)
            _insert(Raw(cursor, database.dialect), rows)
            writer.add(cursor, [_indexed(rid, body) for rid, body in zip(range(rid - len(part) + 1, rid + 1), part, strict=True)])
        if rid % 50_000 == 0:
            merge(database, writer)
            say(f"{rid:,} resources")
    again = dict(_numbered(size, set(corrected)))
    for start in range(0, len(corrected), COMMIT):
        turn = corrected[start : start + COMMIT]
        versions = [(rid, again[rid] | {"status": "corrected"} if rid % 97 == 0 else again[rid]) for rid in turn]
        with database.transaction() as cursor:
            writer.update(cursor, [_indexed(rid, body) for rid, body in versions])
        if start % 50_000 == 0:
            merge(database, writer)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def merge(database: Database, writer: IndexWriter) -> None:
    """A round of the index merge, in its own small steps."""
    after: Any = START
    while after is not None:
        with database.transaction() as cursor:
            after = writer.merge_step(cursor, 20_000, after)


def _numbered(size: int, wanted: set[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((rid, body) for rid, body in enumerate(_resources(size), 1) if rid in wanted)


def _row(rid: int, body: dict[str, Any]) -> tuple[Any, ...]:
    return rid, body["resourceType"], body["id"], 1, rid, BEGAN + rid * STEP, False, "390121", orjson.dumps(body)


def _indexed(rid: int, body: dict[str, Any]) -> IndexRow:
    return IndexRow(rid, body["resourceType"], BEGAN + rid * STEP, default_indexer().entries(body["resourceType"], body))


def _insert(raw: Raw, rows: Sequence[tuple[Any, ...]]) -> None:
    raw.insert("resource", COLUMNS, rows)


def _name(resident: int) -> str:
    drawn = random.Random(resident)
    return drawn.choice(SURNAMES) + drawn.choice(GIVEN) + drawn.choice(GIVEN)


def _resources(size: int) -> Iterator[dict[str, Any]]:
    """The county, resident by resident, in order of time."""
    drawn = random.Random(1)
    n = 0
    for resident in range(size // RESIDENT):
        subject = {"reference": f"Patient/p{resident}"}
        yield _patient(resident)
        for _ in range(RESIDENT - 1):
            n += 1
            day = f"2025-{drawn.randrange(12) + 1:02}-{drawn.randrange(28) + 1:02}T08:{n % 60:02}:00+08:00"
            if n % 5 == 0:
                status = "requested" if n % 500 == 0 else drawn.choice(("accepted", "completed", "in-progress"))
                yield {"resourceType": "Task", "id": f"t{n}", "status": status, "intent": "order", "for": subject, "authoredOn": day}
            else:
                yield _observation(n, subject, ITEMS[n % len(ITEMS)], day, drawn.randrange(300) / 10)


def _patient(resident: int) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"p{resident}",
        "identifier": [{"system": "urn:card", "value": str(resident)}],
        "name": [{"text": _name(resident)}],
        "gender": "female" if resident % 2 else "male",
        "birthDate": f"{1940 + resident % 60}-03-02",
    }


def _observation(n: int, subject: dict[str, str], item: str, day: str, value: float) -> dict[str, Any]:
    category = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
    return {
        "resourceType": "Observation",
        "id": f"o{n}",
        "status": "final",
        "category": [category],
        "code": {"coding": [{"system": "http://loinc.org", "code": item}]},
        "subject": subject,
        "effectiveDateTime": day,
        "valueQuantity": {"value": value, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    }
