"""ADT over maps and store: only an event that says the status of a visit changes it."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from tests.pipeline.hospital import Hospital

EVENTS = {"A01": "20260302080000", "A03": "20260304100000", "A08": "20260304120000"}


def adt(event: str, sent: str = "", start: str = "20260302080000", end: str = "") -> list[str]:
    """One event of the visit V1; the update after the discharge carries no PV1-45. sent: MSH-7, else that of EVENTS."""
    end = end or (EVENTS["A03"] if event == "A03" else "")
    return [
        f"MSH|^~\\&|HIS|HOSP|YF|YF|{sent or EVENTS[event]}||ADT^{event}|{event}{sent}|P|2.5.1|||||CHN|UNICODE UTF-8",
        "PID|1||P1^^^HOSP^PI~390121197103010014^^^&2.16.156.10011.1.3&ISO^NI||林^溪||19710301|X",
        f"PV1|1|I|N01^^^^^^^^内一科||||D01^王^医生||||||||||||V1|||||||||||||||||||||||||{start}|{end}",
        "NK1|1|林^明|SPO^配偶^HL70063",
    ]


@pytest.mark.parametrize("order", list(permutations(EVENTS)), ids="-".join)
def test_an_update_after_the_discharge_does_not_reopen_the_visit(order: tuple[str, ...], tmp_path: Path) -> None:
    with Hospital(tmp_path) as hospital:
        for event in order:
            assert hospital.send(*adt(event)).state == "mapped"
        (visit,) = hospital.of("Encounter")
        assert (visit["status"], visit["period"]["end"]) == ("finished", "2026-03-04T10:00:00+08:00")


LATER = {
    "the admission told again": (adt("A01", "20260305090000"), "finished", "2026-03-02T08:00:00+08:00", "2026-03-04T10:00:00+08:00"),
    "an admission without its time": (adt("A01", "20260305090000", start=""), "finished", "2026-03-02T08:00:00+08:00", "2026-03-04T10:00:00+08:00"),
    "an admission after the end": (adt("A01", "20260305090000", start="20260305083000"), "in-progress", "2026-03-05T08:30:00+08:00", None),
    "the end is emptied": (adt("A01", "20260305090000", end='""'), "in-progress", "2026-03-02T08:00:00+08:00", None),
    "an admission after the end that was sent before": (
        adt("A01", "20260303000000", start="20260305083000"), "finished", "2026-03-02T08:00:00+08:00", "2026-03-04T10:00:00+08:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("again", "status", "start", "end"), LATER.values(), ids=LATER)
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_an_admission_reopens_a_finished_visit_only_when_the_event_says_so(
    order: tuple[int, ...], again: list[str], status: str, start: str, end: str | None, tmp_path: Path
) -> None:
    messages = [adt("A01"), adt("A03"), again]
    with Hospital(tmp_path) as hospital:
        for n in order:
            assert hospital.send(*messages[n]).state == "mapped"
        (visit,) = hospital.of("Encounter")
        assert (visit["status"], visit["period"]["start"], visit["period"].get("end")) == (status, start, end)
        assert visit["location"], "the rest of the event is taken all the same"


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
