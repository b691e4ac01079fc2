"""The seeded mutants: made without the validator, the same every time, and each kind is caught."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gateway.fhir import json
from tests.validation import broken, mutants
from tests.validation.samples import errors, observation, patient, pressure

SOURCES = [
    ("patient", patient(id="p", gender="male", birthDate="1980-05-01", deceasedBoolean=False, managingOrganization={"reference": "Organization/1"})),
    ("pressure", pressure(id="bp")),
    ("glucose", observation(id="g", valueString="x", subject={"reference": "Patient/p"}, issued="2026-05-01T08:30:00+08:00")),
]
MADE = list(mutants.mutants(SOURCES, each=6, seed=1))


@pytest.mark.parametrize("module", [mutants, broken])
def test_they_are_made_without_the_validator(module: object) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))  # type: ignore[attr-defined]
    named = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert not [n for n in named if n.startswith("gateway.validation")]


def test_a_seed_gives_the_same_mutants_again() -> None:
    assert MADE == list(mutants.mutants(SOURCES, each=6, seed=1)) != list(mutants.mutants(SOURCES, each=6, seed=2))


@pytest.mark.parametrize("kind", [k for k in mutants.KINDS if k not in ("reference", "slice")])
def test_every_kind_of_fault_is_caught(kind: str) -> None:
    of_kind = [(name, resource) for name, resource in MADE if name.startswith(f"{kind}-")]
    assert of_kind
    assert [name for name, resource in of_kind if not errors(json.decode(json.encode(resource)))] == []


def test_the_sources_are_right() -> None:
    assert [name for name, resource in SOURCES if errors(resource)] == []
