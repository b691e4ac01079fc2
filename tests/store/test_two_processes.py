"""Residents linked, parted and written by two gateway processes at once on PostgreSQL (design/records.md, "Identity")."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict
from tests.records.county import County, form, fresh_schema, observation
from tests.store.decider import RECORDS, RESIDENTS, put, record

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
ROOT = Path(__file__).resolve().parents[2]
FIRST = "2026-01-01T08:00:00.000000Z"
SEEDS = (1, 2)


def known(county: County) -> list[str]:
    """Sends one record of each resident; the ids of their Patients."""
    for n, person in enumerate(RESIDENTS):
        county.send(form(f"first-{n}", FIRST, [observation(f"first-{n}", "一")], person=person))
    return [subjects(county)[f"first-{n}"] for n in range(len(RESIDENTS))]


def observations(county: County) -> dict[str, Any]:
    """Business number -> Observation."""
    found = [b for n, b in county.current().items() if n.startswith("Observation/")]
    by_number = {b["identifier"][0]["value"]: b for b in found}
    assert len(by_number) == len(found)
    return by_number


def subjects(county: County) -> dict[str, str]:
    """Business number -> id of the Patient that the Observation is about."""
    return {number: str(b["subject"]["reference"]).removeprefix("Patient/") for number, b in observations(county).items()}


def side_by_side(folder: Path, url: str, patients: list[str]) -> list[int]:
    """Runs both processes; how many decisions of each took effect."""
    with ExitStack() as stack:
        both = []
        for seed in SEEDS:
            command = [sys.executable, "-m", "tests.store.decider", str(folder), url, str(seed), *patients]
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            both.append(stack.enter_context(process))
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        told = []
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in both:
            out, _ = process.communicate(timeout=240)
            assert process.returncode == 0
            told.append(int(out.splitlines()[-1]))  # the log stands before it
        return told


def test_two_processes_on_postgresql_that_link_unlink_and_write_end_in_one_consistent_county(tmp_path: Path) -> None:
    url = os.environ["YIFANG_TEST_POSTGRES"]
    fresh_schema(url)
    with County(tmp_path / "both", url) as county:
        patients = known(county)
        decided = side_by_side(tmp_path / "both", url, patients)
        assert all(n > 0 for n in decided)
        numbers = {record(seed, n)["key"] for seed in SEEDS for n in range(RECORDS)} | {f"first-{n}" for n in range(len(RESIDENTS))}
        clients = {f"client-{seed}-{n}": patients[n % len(patients)] for seed in SEEDS for n in range(RECORDS)}
        numbers |= clients.keys()
        assert observations(county).keys() == numbers
        assert half_linked(county) == []
        for patient in patients:
            try:
                county.gateway.unlink(patient, by="test")
            except Conflict:
                continue
        assert half_linked(county) == []
        ended, about = county.comparable(), subjects(county)
        for n, patient in enumerate(patients):
            assert about[f"first-{n}"] == patient
        assert {number: about[number] for number in clients} == clients
    assert ended == alone(tmp_path / "alone", url)


def half_linked(county: County) -> list[str]:
    """What is not as it must be at any time: who is linked away says to whom, the other is there, and nothing points at who is away."""
    current = {n: b for n, b in county.current().items() if b is not None}
    away = {n for n, b in current.items() if n.startswith("Patient/") and b.get("active") is False}
    found = [f"{n} has no survivor" for n in away if current[n]["link"][0]["other"]["reference"] not in current.keys() - away]
    found += [f"{n} is about {b['subject']['reference']}" for n, b in current.items() if "subject" in b and b["subject"]["reference"] in away]
    query = """SELECT r.type, r.id FROM resource r JOIN patient_link l ON l.resource = r.rid JOIN source_patient s ON s.id = l.source_patient
               WHERE r.resident IS DISTINCT FROM s.patient"""
    return found + [f"{type_}/{id_} stands with another resident than its claim" for type_, id_ in county.rows(query)]


def alone(folder: Path, url: str) -> dict[str, Any]:
    """What one process makes of the same records when nobody links."""
    fresh_schema(url)
    with County(folder, url) as county:
        patients = known(county)
        for seed in SEEDS:
            for n in range(RECORDS):
                county.send(record(seed, n))
                put(county, seed, n, patients)
        return county.comparable()
