"""design/records.md: a map edit that changes an id-bearing line says `was key(...)`, and nothing stands twice after the re-map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.mapping.activation import verdict
from tests.pipeline.hospital import Hospital, catalogue
from tests.pipeline.test_visits import adt
from tests.pipeline.test_withheld import UREA, oru

VISIT = '  identifier = key("visit", 机构代码, 就诊号)\n'
ADT, ORU = "clinical/hl7v2_adt/hl7v2_adt.map", "clinical/hl7v2_oru/hl7v2_oru.map"
DIAGNOSIS = "DG1|1||I10^高血压^I10||20260302080000|A"


@pytest.fixture
def hospital(tmp_path: Path) -> Any:
    """A hospital."""
    with Hospital(tmp_path) as made:
        yield made


def standing(hospital: Hospital, type_: str) -> list[dict[str, Any]]:
    """Resources of a type that have not ended."""
    return [b for b in hospital.of(type_) if b["status"] != "entered-in-error"]


def test_a_changed_key_is_refused_without_was() -> None:
    changed = catalogue({ADT: (VISIT, '  identifier = key("stay", 机构代码, 就诊号)\n')})
    assert [f.place.file for f in verdict(changed, catalogue()).faults if f.code == "key-changed"] == [ADT]
    said = catalogue({ADT: (VISIT, '  identifier = key("stay", 机构代码, 就诊号) was key("visit", 机构代码, 就诊号)\n')})
    assert [f.place.file for f in verdict(said, catalogue()).faults if f.code == "key-changed"] == []


def test_a_visit_told_by_several_events_stands_once_under_its_new_key(hospital: Hospital) -> None:
    for event in ("A01", "A03"):
        hospital.send(*adt(event), DIAGNOSIS)
    (before,) = hospital.of("Encounter")
    hospital.activate(catalogue({ADT: (VISIT, '  identifier = key("stay", 机构代码, 就诊号) was key("visit", 机构代码, 就诊号)\n')}))
    preview = hospital.gateway.remap(preview=True)
    assert ("Encounter", before["id"]) in preview.vanished + preview.updated
    hospital.gateway.remap(preview=False)
    (visit,) = standing(hospital, "Encounter")
    assert visit["id"] != before["id"]
    assert [i["value"] for i in visit["identifier"]] == ["390121000001/V1"] and visit["identifier"][0]["system"].endswith("/ids/stay")
    assert (visit["status"], visit["period"], visit["class"]) == (before["status"], before["period"], before["class"])
    (condition,) = hospital.of("Condition")
    assert condition["encounter"]["reference"] == f"Encounter/{visit['id']}"
    hospital.send(*adt("A08"), DIAGNOSIS)
    assert [v["id"] for v in standing(hospital, "Encounter")] == [visit["id"]]
    assert hospital.gateway.remap(preview=True).records == 0


def test_a_report_stands_once_under_its_new_key(hospital: Hospital) -> None:
    hospital.send(*oru("1", "20260302083000", UREA.format("5.60")))
    (before,) = hospital.of("DiagnosticReport")
    old, new = '  identifier = key("lab-report", 机构代码, 报告单号, 项.OBR-4.1)\n', '  identifier = key("report", 机构代码, 报告单号, 项.OBR-4.1)'
    hospital.activate(catalogue({ORU: (old, f'{new} was key("lab-report", 机构代码, 报告单号, 项.OBR-4.1)\n')}))
    hospital.gateway.remap(preview=False)
    (report,) = standing(hospital, "DiagnosticReport")
    assert report["id"] != before["id"] and report["result"] == before["result"]
    assert [r["id"] for r in hospital.of("DiagnosticReport")] == [before["id"], report["id"]]
