"""design/records.md, "Severity is data": one result beyond possible limits waits for a person, its report stands as partial meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict
from gateway.store import holds
from tests.pipeline.hospital import Hospital, catalogue

GLUCOSE = "OBX|1|NM|GLU^葡萄糖^L||{}|mmol/L|3.9-6.1||||F"
UREA = "OBX|2|NM|UREA^尿素^L||{}|mmol/L|2.8-7.2||||F"
POTASSIUM = "OBX|3|NM|CREA^肌酐^L||{}|umol/L|44-97||||F"


@pytest.fixture
def hospital(tmp_path: Path) -> Any:
    """A hospital whose LIS sends reports."""
    with Hospital(tmp_path) as made:
        yield made


def oru(control: str, time: str, *results: str) -> list[str]:
    """A report of these results."""
    return [
        f"MSH|^~\\&|LIS|HOSP|YF|YF|{time}||ORU^R01|{control}|P|2.5.1|||||CHN|UNICODE UTF-8",
        "PID|1||P1^^^HOSP^PI~390121197103010014^^^&2.16.156.10011.1.3&ISO^NI||林^溪||19710301|M",
        f"OBR|1|A1|R1|C01^生化^L|||{time}|||||||||||||||{time}|||F",
        *results,
    ]


def waiting(hospital: Hospital) -> list[holds.StoredHold]:
    """Open holds, oldest first."""
    return holds.listing(hospital.database)[::-1]


def test_a_released_result_completes_its_report(hospital: Hospital) -> None:
    receipt = hospital.send(*oru("1", "20260302083000", GLUCOSE.format("90"), UREA.format("5.60")))
    assert receipt.state == "mapped"
    (report,) = hospital.of("DiagnosticReport")
    assert (report["status"], len(report["result"]), len(hospital.of("Observation"))) == ("partial", 1, 1)
    (hold,) = waiting(hospital)
    assert hold.code == "impossible-value" and hold.part.startswith("Observation/")
    assert "90 mmol/L" in hold.sides["came"]["findings"][0]["message"]
    outcome = hospital.gateway.release(hold.id, "张医生")
    assert outcome.state == "written"
    (report,) = hospital.of("DiagnosticReport")
    assert (report["status"], len(report["result"])) == ("final", 2)
    assert sorted(str(o["valueQuantity"]["value"]) for o in hospital.of("Observation")) == ["5.60", "90"]
    assert [f.severity for f in outcome.findings if f.code == "impossible-value"] == ["note"]
    decided = holds.show(hospital.database, hold.id)
    assert (decided.state, decided.decided_by, waiting(hospital)) == ("released", "张医生", [])
    with pytest.raises(Conflict):
        hospital.gateway.release(hold.id, "张医生")


def test_of_two_results_each_is_decided_by_itself_and_the_decision_outlives_replay_and_remap(hospital: Hospital) -> None:
    receipt = hospital.send(*oru("1", "20260302083000", GLUCOSE.format("90"), UREA.format("500"), POTASSIUM.format("60")))
    first, second = waiting(hospital)
    hospital.gateway.reject(first.id, "张医生", "标本溶血")
    hospital.gateway.release(second.id, "张医生")

    def stands() -> bool:
        (report,) = hospital.of("DiagnosticReport")
        return (report["status"], len(report["result"]), len(hospital.of("Observation"))) == ("partial", 2, 2) and waiting(hospital) == []

    assert stands()
    hospital.gateway.replay(receipt.message).result(30)
    assert stands()
    path = "clinical/hl7v2_oru/hl7v2_oru.map"
    hospital.activate(
        catalogue({path: ("  conclusion = 项.备注 | v2_lines\n", '  conclusion = 项.备注 | v2_lines\n  conclusionCode.text = "已复核"\n')})
    )
    assert hospital.gateway.remap(preview=False).records == 1
    assert stands()


def test_a_correction_resolves_the_hold_and_completes_the_report(hospital: Hospital) -> None:
    hospital.send(*oru("1", "20260302083000", GLUCOSE.format("90"), UREA.format("5.60")))
    (hold,) = waiting(hospital)
    hospital.send(*oru("2", "20260302093000", GLUCOSE.format("9.0"), UREA.format("5.60")))
    (report,) = hospital.of("DiagnosticReport")
    assert (report["status"], len(report["result"])) == ("final", 2)
    assert (waiting(hospital), holds.show(hospital.database, hold.id).state) == ([], "resolved")
    with pytest.raises(Conflict):
        hospital.gateway.release(hold.id, "张医生")


def test_the_same_report_again_opens_no_second_hold_and_an_older_one_none_at_all(hospital: Hospital) -> None:
    for control in ("1", "1"):
        hospital.send(*oru(control, "20260302083000", GLUCOSE.format("90"), UREA.format("5.60")))
    assert len(waiting(hospital)) == 1
    hospital.send(*oru("0", "20260301083000", GLUCOSE.format("95"), UREA.format("5.60")))
    assert len(waiting(hospital)) == 1
