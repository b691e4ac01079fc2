"""What the API benchmark asks of both servers: readings of PERSONS residents, created one by one and by Bundles, read and searched."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.bench.clients import Asked

PERSONS = 100
CODES = ("8480-6", "8462-4", "15074-8", "4548-4", "2823-3")
PAIRS = PERSONS * len(CODES)
DAYS = 28
EARLIEST = 8
"""Searches begin at one of the first days: at least a page of ROWS is left."""
ROWS = 20
FILLED = PAIRS * DAYS
"""Readings after which every resident has one of each code for each of DAYS days, so that every search has a full page."""
BUNDLE = 100


def observation(n: int) -> dict[str, Any]:
    """Reading n; residents take turns, then codes, then days, then minutes."""
    day, minute = n // PAIRS % DAYS + 1, n // FILLED % 1440
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "urn:bench:reading", "value": f"R{n:08d}"}],
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": CODES[n // PERSONS % len(CODES)]}]},
        "subject": {"reference": f"Patient/bench{n % PERSONS}"},
        "effectiveDateTime": f"2026-03-{day:02d}T{minute // 60:02d}:{minute % 60:02d}:00+08:00",
        "valueQuantity": {"value": 100 + n % 80, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
    }


def residents() -> list[Asked]:
    """The residents that the readings are about."""
    return [("PUT", f"/Patient/bench{n}", json.dumps({"resourceType": "Patient", "id": f"bench{n}"})) for n in range(PERSONS)]


def posts(first: int, count: int) -> list[Asked]:
    """Plain creates."""
    return [("POST", "/Observation", json.dumps(observation(n))) for n in range(first, first + count)]


def transactions(first: int, count: int) -> list[Asked]:
    """Bundles of BUNDLE creates."""
    found: list[Asked] = []
    for b in range(count):
        entries = [
            {"resource": observation(n), "request": {"method": "POST", "url": "Observation"}}
            for n in range(first + b * BUNDLE, first + (b + 1) * BUNDLE)
        ]
        found.append(("POST", "", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})))
    return found


def reads(locations: Sequence[str], count: int, seed: int) -> list[Asked]:
    """Reads of what was created, at random."""
    chosen = random.Random(seed)
    paths = ["/" + "/".join(urlsplit(place).path.strip("/").split("/")[-4:-2]) for place in locations]
    return [("GET", chosen.choice(paths), None) for _ in range(count)]


def searches(count: int, seed: int) -> list[Asked]:
    """patient + code + date, newest first, a page of ROWS."""
    chosen = random.Random(seed)
    return [
        ("GET", f"/Observation?patient=Patient/bench{chosen.randrange(PERSONS)}&code=http://loinc.org%7C{chosen.choice(CODES)}"
                f"&date=ge2026-03-{chosen.randint(1, EARLIEST):02d}&_sort=-date&_count={ROWS}", None)
        for _ in range(count)
    ]  # fmt: skip
