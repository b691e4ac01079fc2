"""处方: what the accepted examples must say, and the HIS views they come from."""

from __future__ import annotations

import pytest

from tests.datasets.goldens import Golden, check_r4b, goldens
from tests.datasets.sources import bodies, catalogue, mapped, view_line

GOLDENS = goldens("prescription")


@pytest.mark.parametrize("golden", GOLDENS.values(), ids=lambda g: g.name)
def test_every_resource_passes_the_r4b_models(golden: Golden) -> None:
    for resource in golden.resources:
        check_r4b(resource)


def test_the_map_checks_with_all_profiles() -> None:
    assert [str(f) for f in catalogue().entry("prescription").faults] == []


def test_each_medicine_is_a_request_of_the_same_group() -> None:
    requests = GOLDENS["ordinary"].of_type("MedicationRequest")
    assert len(requests) == 2
    assert {r["groupIdentifier"]["value"] for r in requests} == {"390121001/CF20260310012"}
    assert {r["encounter"]["identifier"]["value"] for r in requests} == {"390121001/MZ20260310001"}


def test_dose_frequency_and_route_are_structured_and_the_words_kept() -> None:
    dosage = GOLDENS["ordinary"].of_type("MedicationRequest")[1]["dosageInstruction"][0]
    assert dosage["text"] == "每日2次,每次1片,饭后"
    assert dosage["timing"]["repeat"] == {"frequency": 2, "period": 1, "periodUnit": "d"}
    assert str(dosage["doseAndRate"][0]["doseQuantity"]["value"]) == "0.50"
    assert dosage["route"]["text"] == "口服"


def test_a_long_prescription_of_twelve_weeks_is_in_order_and_more_is_flagged() -> None:
    (long_term,) = GOLDENS["long_term"].of_type("MedicationRequest")
    assert long_term["courseOfTherapyType"]["coding"][0]["code"] == "continuous"
    assert long_term["dispenseRequest"]["expectedSupplyDuration"]["value"] == 84
    assert GOLDENS["long_term"].findings == ()
    assert any("alarm-value" in line and "用药天数" in line for line in GOLDENS["dangerous"].findings)


def test_a_positive_skin_test_stands_in_the_notes() -> None:
    notes = [n["text"] for n in GOLDENS["dangerous"].of_type("MedicationRequest")[1]["note"]]
    assert "皮试结果:阳性" in notes


def test_as_needed_comes_from_the_words() -> None:
    first, second = GOLDENS["incomplete"].of_type("MedicationRequest")
    assert first["dosageInstruction"][0]["asNeededBoolean"] is True
    assert second["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["code"] == "{tablet}"


def test_a_voided_prescription_is_the_same_requests_cancelled() -> None:
    before, after = GOLDENS["ordinary"].of_type("MedicationRequest"), GOLDENS["voided"].of_type("MedicationRequest")
    assert [r["id"] for r in before] == [r["id"] for r in after]
    assert {r["status"] for r in after} == {"cancelled"}


def test_unknown_state_and_nameless_medicine_hold_the_prescription() -> None:
    golden = GOLDENS["wrong"]
    assert golden.resources == ()
    assert {"unknown-code", "required-field", "impossible-value", "impossible-date"} <= {line.split(" | ")[1] for line in golden.findings}


def test_medicines_come_from_the_child_view() -> None:
    row = {"org_code": "390121001", "recipe_no": "C1", "upd_time": "2026-03-10 09:00:00", "patient_id": "P1", "recipe_state": "K"}
    items = [
        {"org_code": "390121001", "recipe_no": "C1", "item_no": str(n), "drug_name": name, "freq": "tid"} for n, name in ((1, "甲药"), (2, "乙药"))
    ]
    ((_, result),) = mapped("prescription", "his_view", view_line("prescription", "his_view", [row], {"药品": items}))
    assert [r["medicationCodeableConcept"]["text"] for r in bodies(result, "MedicationRequest")] == ["甲药", "乙药"]
