"""A county in small, written straight into a store: for every 200 resources one resident, with 160 results of 8 items, and Tasks of which one in a
hundred is requested. Thirty in a hundred results are written a second time, as a corrected version, after all are there; the index is merged
but for the last commits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import text

from gateway.store.database import Database
from gateway.store.index.keys import default_indexer
from gateway.store.index.write import START, IndexRow, IndexWriter
from gateway.store.raw import Raw

RESIDENT = 200
"""Resources for each resident."""
ITEMS = ("718-7", "4548-4", "2339-0", "2160-0", "1742-6", "1920-8", "2085-9", "2571-8")
COMMIT = 1000
BEGAN, STEP = 1_700_000_000_000_000, 20_000
SURNAMES, GIVEN = "欧阳司徒上官诸葛东方赵钱孙李周吴郑王", "澄清明远志成文思和静安宁"
COLUMNS = ("rid", "type", "id", "version", "seq", "time", "deleted", "custodian", "content")


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
            writer.add(cursor, [_indexed(n, body, n) for n, body in zip(range(rid - len(part) + 1, rid + 1), part, strict=True)])
        if rid % 50_000 == 0:
            merge(database, writer)
            say(f"{rid:,} resources")
    again = dict(_numbered(size, set(corrected)))
    written = size
    for start in range(0, len(corrected), COMMIT):
        turn = corrected[start : start + COMMIT]
        versions = [(rid, again[rid] | {"status": "corrected"} if rid % 97 == 0 else again[rid]) for rid in turn]
        with database.transaction() as cursor:
            writer.update(cursor, [_indexed(rid, body, written + n) for n, (rid, body) in enumerate(versions)])
        written += len(turn)
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


def _indexed(rid: int, body: dict[str, Any], written: int) -> IndexRow:
    return IndexRow(rid, body["resourceType"], BEGAN + written * STEP, default_indexer().entries(body["resourceType"], body))


def _insert(raw: Raw, rows: Sequence[tuple[Any, ...]]) -> None:
    raw.insert("resource", COLUMNS, rows)


def name_of(resident: int) -> str:
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
        "name": [{"text": name_of(resident)}],
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
