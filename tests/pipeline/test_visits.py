"""ADT over maps and store: only an event that says the status of a visit changes it."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from tests.pipeline.hospital import Hospital

EVENTS = {"A01": "20260302080000", "A03": "20260304100000", "A08": "20260304120000"}


def adt(event: str) -> list[str]:
    """One event of the visit V1; the update after the discharge carries no PV1-45."""
    end = EVENTS["A03"] if event == "A03" else ""
    return [
        f"MSH|^~\\&|HIS|HOSP|YF|YF|{EVENTS[event]}||ADT^{event}|{event}|P|2.5.1|||||CHN|UNICODE UTF-8",
        "PID|1||P1^^^HOSP^PI~390121197103010014^^^&2.16.156.10011.1.3&ISO^NI||林^溪||19710301|X",
        f"PV1|1|I|N01^^^^^^^^内一科||||D01^王^医生||||||||||||V1|||||||||||||||||||||||||20260302080000|{end}",
        "NK1|1|林^明|SPO^配偶^HL70063",
    ]


@pytest.mark.parametrize("order", list(permutations(EVENTS)), ids="-".join)
def test_an_update_after_the_discharge_does_not_reopen_the_visit(order: tuple[str, ...], tmp_path: Path) -> None:
    with Hospital(tmp_path) as hospital:
        for event in order:
            assert hospital.send(*adt(event)).state == "mapped"
        (visit,) = hospital.of("Encounter")
        assert (visit["status"], visit["period"]["end"]) == ("finished", "2026-03-04T10:00:00+08:00")


def test_an_update_alone_does_not_guess_the_status(tmp_path: Path) -> None:
    with Hospital(tmp_path) as hospital:
        hospital.send(*adt("A08"))
        (visit,) = hospital.of("Encounter")
        assert visit["status"] == "unknown"
        hospital.send(*adt("A01"))
        (visit,) = hospital.of("Encounter")
        assert visit["status"] == "in-progress"


def test_staff_wards_and_relatives_of_a_visit_are_written_under_the_shared_keys(tmp_path: Path) -> None:
    with Hospital(tmp_path) as hospital:
        hospital.send(*adt("A01"))
        (visit,), (doctor,), (ward,), (relative,) = (hospital.of(t) for t in ("Encounter", "Practitioner", "Location", "RelatedPerson"))
        assert visit["participant"][0]["individual"]["reference"] == f"Practitioner/{doctor['id']}"
        assert visit["location"][0]["location"]["reference"] == f"Location/{ward['id']}"
        assert (doctor["name"][0]["text"], ward["name"], relative["name"][0]["text"]) == ("王医生", "内一科", "林明")
        (patient,) = hospital.of("Patient")
        assert relative["patient"]["reference"] == f"Patient/{patient['id']}" and "gender" not in patient
