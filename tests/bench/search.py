"""Searches at several sizes of the store, through `Searcher.search` on the embedded database (or the PostgreSQL of YIFANG_TEST_POSTGRES).

The county of `county.py` is asked the same questions at each size. Figures are milliseconds of a search by the clock; the growth from size
to size is of processor time. `keep` is a folder (and, on PostgreSQL, a name of databases) where a filled store is left for the next run.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import make_url, text

from gateway.fhir.query import parse_query
from gateway.store.database import Database
from gateway.store.index.keys import FORMAT, default_indexer
from gateway.store.scope import Scope
from gateway.store.search import Searcher
from tests.bench import county
from tests.bench.measure import Figure

ROUNDS = 60
LIMIT = 50.0
"""ms that no question may take in the middle."""
VILLAGE = 60
"""Residents of a village doctor."""


class Question(NamedTuple):
    """A search: {p} is a resident, {v} as many as a village has, {c} an item, {n} the beginning of a name. limit: ms in the middle."""

    type: str
    query: str
    limit: float = LIMIT


QUESTIONS: dict[str, Question] = {
    "patient + code + date, 20 rows": Question("Observation", "patient=p{p}&code=http://loinc.org|{c}&date=ge2025-01-01&_count=20"),
    "code + date, 20 rows": Question("Observation", "code=http://loinc.org|{c}&date=ge2025-06-01&_count=20"),
    "Task?status=requested": Question("Task", "status=requested&_count=20"),
    "Task?status=requested, newest change first": Question("Task", "status=requested&_sort=-_lastUpdated&_count=20"),
    "string prefix": Question("Patient", "name={n}&_count=20"),
    "_lastUpdated=gt": Question("Observation", "_lastUpdated=gt2023-11-14T22:14:00Z&_sort=_lastUpdated&_count=20"),
    "patient, _total": Question("Observation", "patient=p{p}&_total=accurate&_count=20"),
    "code, _total": Question("Observation", "code={c}&_total=accurate&_count=20"),
    "system|code, _total": Question("Observation", "code=http://loinc.org|{c}&_total=accurate&_count=20"),
    "code + date, _total": Question("Observation", "code={c}&date=ge2025-03-05&_total=accurate&_count=20"),
    "status, _total": Question("Task", "status=requested&_total=accurate&_count=20"),
    "type, _total": Question("Observation", "_total=accurate&_count=20"),
    "code + status that few have": Question("Observation", "code={c}&status=corrected&_count=20"),
    "code + status that few have, _total": Question("Observation", "code={c}&status=corrected&_total=accurate&_count=20"),
    "village + code": Question("Observation", "patient={v}&code=http://loinc.org|{c}&_count=20", 20.0),
    "village + code, _total": Question("Observation", "patient={v}&code=http://loinc.org|{c}&_total=accurate&_count=20"),
    "chain": Question("Observation", "patient.identifier=urn:card|{p}&code={c}&_count=20"),
    "_include": Question("Observation", "patient=p{p}&code={c}&_include=Observation:patient&_count=20"),
}


def search(sizes: Sequence[int], build: Path, keep: str, say: Callable[[str], None]) -> list[Figure]:
    """A figure for each question and size: the middle and the 99th of a hundred; from the second size on, the first question's growth."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for size in sizes:
        database, close = _county(size, build / "search", keep, say)
        try:
            figures.append(_size(database, size))
            searcher, scope = Searcher(default_indexer()), Scope.all("bench")
            for name, question in QUESTIONS.items():
                spent, worked = _asked(database, searcher, scope, name, size)
                middle, late = statistics.median(spent), sorted(spent)[int(len(spent) * 0.99)]
                work = statistics.median(worked)
                note = f"p99 {late:.1f} ms; processor {work:.2f} ms"
                figures.append(
                    Figure(f"{name} at {size:,}", "ms", middle, target=f"≤ {question.limit:g} ms", met=middle <= question.limit, note=note)
                )
                before = first.setdefault(name, work)
                if size != sizes[0] and name == next(iter(QUESTIONS)):
                    ratio = work / before
                    note = "processor time, against the first size"
                    figures.append(Figure(f"{name}: growth", "ms", work, before, ratio, "≤ 1.5×", ratio <= 1.5, note))
        finally:
            close()
    return figures


def _asked(database: Database, searcher: Searcher, scope: Scope, name: str, size: int) -> tuple[list[float], list[float]]:
    """ms of a question by the clock and of the processor, over residents and items drawn alike at every size."""
    question = QUESTIONS[name]
    drawn = random.Random(name)
    spent: list[float] = []
    worked: list[float] = []
    residents = size // county.RESIDENT
    for n in range(ROUNDS + 5):
        resident = drawn.randrange(residents)
        village = ",".join(f"p{drawn.randrange(residents)}" for _ in range(VILLAGE))
        query = parse_query(question.query.format(p=resident, v=village, c=drawn.choice(county.ITEMS), n=county.name_of(resident)[:2]))
        began, clock = time.perf_counter(), time.thread_time()
        with database.engine.connect() as connection:
            page = searcher.search(connection, question.type, query, scope)
        if n >= 5:  # before, caches fill
            spent.append((time.perf_counter() - began) * 1000)
            worked.append((time.thread_time() - clock) * 1000)
        assert page.rows, f"{name}: nothing was found"
    return spent, worked


def _size(database: Database, size: int) -> Figure:
    """What the filled database takes on disk."""
    statement = "SELECT pg_database_size(current_database())"
    if database.dialect == "sqlite":
        statement = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    with database.engine.connect() as connection:
        held = int(connection.execute(text(statement)).scalar_one())
    return Figure(f"database of {size:,} resources", "MB", held / 1e6, note=f"{held / size:.0f} bytes a resource; {database.dialect}")


def _county(size: int, folder: Path, keep: str, say: Callable[[str], None]) -> tuple[Database, Callable[[], None]]:
    """The filled database, of a former run where one was kept, and what ends with it."""
    name = f"county_{size}_{FORMAT}"
    named = os.environ.get("YIFANG_TEST_POSTGRES")
    place = _Sqlite(Path(keep) if keep else folder, name) if named is None else _Postgres(named, f"{keep}_{name}" if keep else name)
    if not (keep and place.is_there()):
        place.prepare()
        began = time.monotonic()
        database = Database(place.building)
        database.migrate()
        county.fill(database, size, say)
        database.close()
        place.built()
        say(f"{size:,} resources filled in {time.monotonic() - began:.0f} s")
    database = Database(place.url)

    def close() -> None:
        database.close()
        if not keep:
            place.clear()

    return database, close


class _Sqlite:
    """A file; one that is not filled yet has another name."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._part = folder / f"{name}.sqlite3", folder / f"{name}.part"
        self.url, self.building = make_url(f"sqlite:///{self._file}"), make_url(f"sqlite:///{self._part}")

    def is_there(self) -> bool:
        """Whether it is filled."""
        return self._file.exists()

    def prepare(self) -> None:
        """Takes away what an interrupted run left."""
        self.clear()

    def built(self) -> None:
        """It is filled."""
        self._part.rename(self._file)

    def clear(self) -> None:
        """Takes it away."""
        for file in (self._file, self._part):
            for end in ("", "-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)


class _Postgres:
    """A database of a server; one that is not filled yet has another name."""

    def __init__(self, server: str, name: str) -> None:
        self._server, self._name, self._part = make_url(server), name, f"{name}_part"
        self.url, self.building = self._server.set(database=name), self._server.set(database=self._part)

    def _run(self, statement: str) -> Any:
        admin = Database(self._server)
        try:
            with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                done = connection.execute(text(statement))
                return done.scalar() if done.returns_rows else None
        finally:
            admin.close()

    def is_there(self) -> bool:
        """Whether it is filled."""
        return bool(self._run(f"SELECT count(*) FROM pg_database WHERE datname = '{self._name}'"))

    def prepare(self) -> None:
        """Makes an empty one to fill."""
        self.clear()
        self._run(f"CREATE DATABASE {self._part}")

    def built(self) -> None:
        """It is filled."""
        self._run(f"ALTER DATABASE {self._part} RENAME TO {self._name}")

    def clear(self) -> None:
        """Takes it away."""
        for name in (self._name, self._part):
            self._run(f"DROP DATABASE IF EXISTS {name}")
