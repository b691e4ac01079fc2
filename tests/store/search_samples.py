"""Small resources for the tests of search; names and numbers are invented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.store.index_harness import ENGINES, Store, open_store

LOINC = "http://loinc.org"


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store on each engine."""
    with open_store(request.param, tmp_path) as opened:
        yield opened


def observation(id_: str, patient: str = "p1", code: str = "718-7", when: str = "2026-01-31T08:00:00+08:00", **more: Any) -> dict[str, Any]:
    """A laboratory result."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": when,
    } | more


def patient(id_: str, **more: Any) -> dict[str, Any]:
    """A resident."""
    return {"resourceType": "Patient", "id": id_, "gender": "female", "birthDate": "1958-03-02"} | more


def resource(type_: str, id_: str, **more: Any) -> dict[str, Any]:
    """Anything else."""
    return {"resourceType": type_, "id": id_} | more


def refer(place: str) -> dict[str, Any]:
    """A literal reference."""
    return {"reference": place}
