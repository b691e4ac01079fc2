"""门诊就诊与诊断: what the accepted examples must say, and the HIS views they come from."""

from __future__ import annotations

import pytest

from tests.datasets.goldens import Golden, check_r4b, goldens
from tests.datasets.sources import bodies, catalogue, mapped, view_line

GOLDENS = goldens("outpatient_visit")


@pytest.mark.parametrize("golden", GOLDENS.values(), ids=lambda g: g.name)
def test_every_resource_passes_the_r4b_models(golden: Golden) -> None:
    for resource in golden.resources:
        check_r4b(resource)


def test_the_map_checks_with_all_profiles() -> None:
    assert [str(f) for f in catalogue().entry("outpatient_visit").faults] == []


def test_a_visit_lists_its_diagnoses_in_order() -> None:
    golden = GOLDENS["ordinary"]
    (visit,) = golden.of_type("Encounter")
    diagnoses = golden.of_type("Condition")
    assert [d["condition"]["reference"] for d in visit["diagnosis"]] == [f"Condition/{c['id']}" for c in diagnoses]
    assert [d["rank"] for d in visit["diagnosis"]] == [1, 2]
    assert {c["encounter"]["reference"] for c in diagnoses} == {f"Encounter/{visit['id']}"}


def test_a_diagnosis_keeps_its_edition_and_names_its_icd10_parent() -> None:
    first = GOLDENS["ordinary"].of_type("Condition")[0]["code"]["coding"]
    assert [(c["system"].rsplit("/", 1)[-1], c["code"]) for c in first] == [("icd-10-clinical-cn-2.0", "I10.x00x002"), ("icd-10", "I10")]


def test_a_tcm_disease_has_no_icd10_parent() -> None:
    disease, disorder = GOLDENS["tcm"].of_type("Condition")
    assert [c["code"] for c in disease["code"]["coding"]] == ["BNX040"]
    assert [c["code"] for c in disorder["code"]["coding"]] == ["G47.000", "G47.0"]
    assert disorder["verificationStatus"]["coding"][0]["code"] == "provisional"


def test_vital_signs_keep_their_digits() -> None:
    golden = GOLDENS["ordinary"]
    assert str(golden.coded("29463-7")[0]["valueQuantity"]["value"]) == "62.50"
    assert [c["valueQuantity"]["value"] for c in golden.coded("85354-9")[0]["component"]] == [152, 94]
    assert len(golden.coded("2708-6")[0]["code"]["coding"]) == 2


def test_dangerous_signs_are_flagged_and_written() -> None:
    golden = GOLDENS["dangerous"]
    assert sum("alarm-value" in line for line in golden.findings) == 4
    assert golden.of_type("Encounter")[0]["class"]["code"] == "EMER"


def test_a_running_visit_without_diagnosis_is_written_as_far_as_known() -> None:
    golden = GOLDENS["incomplete"]
    (visit,) = golden.of_type("Encounter")
    assert visit["status"] == "in-progress"
    assert visit["period"] == {"start": "2026-03-12"}, "a date without time stays a date"
    assert golden.of_type("Condition") == []


def test_impossible_pressure_and_text_for_a_code_hold_the_visit() -> None:
    golden = GOLDENS["wrong"]
    assert golden.resources == ()
    codes = {line.split(" | ")[1] for line in golden.findings}
    assert {"impossible-value", "icd-form", "id-card-check", "impossible-date", "not-positive", "not-a-number"} <= codes


def test_a_visit_of_nobody_waits_for_a_person() -> None:
    assert GOLDENS["nobody"].resources == ()
    assert any(line.startswith("hold | no-person-number") for line in GOLDENS["nobody"].findings)


def test_a_cancelled_visit_takes_back_what_it_said() -> None:
    row = {"org_code": "390121001", "visit_no": "V1", "upd_time": "2026-03-10 09:00:00", "patient_id": "P1", "sbp": "128", "dbp": "80"}
    children = {"诊断": [{"org_code": "390121001", "visit_no": "V1", "diag_code": "I10.x00x002", "code_edition": "LC", "certainty": "1"}]}
    states = {}
    for state in "FZ":
        content = view_line("outpatient_visit", "his_view", [{**row, "visit_state": state}], children)
        ((_, states[state]),) = mapped("outpatient_visit", "his_view", content)
    assert bodies(states["F"], "Condition")[0]["clinicalStatus"]["coding"][0]["code"] == "active"
    (voided,) = bodies(states["Z"], "Condition")
    assert voided["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in voided, "R4 con-5"
    assert bodies(states["Z"], "Encounter")[0]["status"] == "cancelled"
    assert bodies(states["Z"], "Observation")[0]["status"] == "entered-in-error"
