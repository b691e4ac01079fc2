"""高血压随访: what the accepted examples of the three senders must say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.datasets.goldens import Golden, check_r4b, goldens

EXAMPLES = goldens("hypertension_followup")


def quantity(golden: Golden, code: str) -> dict[str, Any]:
    """The value of the one Observation with this code."""
    (observation,) = golden.coded(code)
    found: dict[str, Any] = observation["valueQuantity"]
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_resource_passes_the_r4b_models(name: str) -> None:
    for resource in EXAMPLES[name].resources:
        check_r4b(resource)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("controlled_vendor_a", "AMB"),
        ("dangerous_vendor_a", "HH"),
        ("incomplete_vendor_a", "VR"),
        ("uncontrolled_vendor_c", "HH"),
        ("controlled_phone_app", "VR"),
    ],
)
def test_the_visit_mode_of_every_vendor_becomes_the_encounter_class(name: str, code: str) -> None:
    (encounter,) = EXAMPLES[name].of_type("Encounter")
    assert encounter["class"]["code"] == code


def test_a_visit_mode_without_national_counterpart_keeps_the_source_code_and_says_so() -> None:
    golden = EXAMPLES["unknown_mode_vendor_a"]
    (encounter,) = golden.of_type("Encounter")
    assert encounter["class"] == {"system": "https://yifang.invalid/golden/vendor-a-csv/codes/随访方式", "code": "6"}
    assert any(line.startswith("note | unknown-code | 随访方式") for line in golden.findings)


def test_blood_pressure_of_180_or_110_is_flagged_and_proposes_an_urgent_referral() -> None:
    danger = EXAMPLES["dangerous_vendor_a"]
    (pressure,) = danger.coded("85354-9")
    assert pressure["interpretation"][0]["coding"][0]["code"] == "HH"
    assert [line.split(" | ")[1] for line in danger.findings].count("alarm-value") == 2
    (proposal,) = danger.of_type("ServiceRequest")
    assert (proposal["status"], proposal["intent"], proposal["priority"]) == ("draft", "proposal", "stat")
    assert proposal["supportingInfo"] == [{"reference": f"Observation/{pressure['id']}"}]


def test_a_controlled_pressure_is_not_flagged() -> None:
    (pressure,) = EXAMPLES["controlled_vendor_a"].coded("85354-9")
    assert "interpretation" not in pressure
    assert EXAMPLES["controlled_vendor_a"].of_type("ServiceRequest") == []


def test_a_referral_that_is_no_emergency_is_not_urgent_and_names_its_hospital() -> None:
    (proposal,) = EXAMPLES["referral_vendor_c"].of_type("ServiceRequest")
    assert "priority" not in proposal
    assert proposal["performer"][0]["identifier"]["value"] == "390121000001"


def test_an_impossible_pressure_or_date_holds_the_whole_record() -> None:
    for name, code in (("impossible_vendor_a", "impossible-value"), ("wrong_vendor_a", "impossible-date")):
        assert EXAMPLES[name].resources == ()
        assert any(line.startswith(f"hold | {code}") for line in EXAMPLES[name].findings)


def test_multiple_choice_symptoms_become_one_observation_each() -> None:
    symptoms = EXAMPLES["dangerous_vendor_a"].coded("DE04.01.117.00")
    assert [s["valueCodeableConcept"]["coding"][0]["code"] for s in symptoms] == ["2", "3", "10"]
    assert symptoms[2]["note"] == [{"text": "一过性黑蒙"}]
    assert [s["valueCodeableConcept"]["text"] for s in EXAMPLES["uncontrolled_vendor_c"].coded("DE04.01.117.00")] == ["头痛头晕", "下肢水肿"]


def test_weights_in_jin_become_kilograms_and_liang_become_grams_beside_the_form_s_own_number() -> None:
    golden = EXAMPLES["uncontrolled_vendor_c"]
    weight = quantity(golden, "29463-7")
    assert (weight["value"], weight["code"]) == (Decimal(68), "kg")
    alcohol = quantity(golden, "alcohol-intake")
    assert (alcohol["value"], alcohol["code"]) == (Decimal(100), "g/d")
    (form,) = golden.of_type("QuestionnaireResponse")
    assert next(i for i in form["item"] if i["linkId"] == "15.1")["answer"] == [{"valueDecimal": 2}]


def test_decimals_keep_the_zeros_the_sender_wrote() -> None:
    assert str(quantity(EXAMPLES["controlled_vendor_a"], "39156-5")["value"]) == "25.0"


def test_vendor_a_salt_and_adverse_reaction_codes_run_the_other_way() -> None:
    golden = EXAMPLES["dangerous_vendor_a"]
    assert golden.fields["药物不良反应"] == "1"
    assert golden.of_type("AdverseEvent")[0]["event"] == {"text": "踝部水肿"}
    assert EXAMPLES["controlled_phone_app"].fields["药物不良反应"] == "1"
    assert EXAMPLES["controlled_phone_app"].of_type("AdverseEvent") == []
    (goal,) = [g for g in golden.of_type("Goal") if g["description"]["text"] == "减少摄盐"]
    assert goal["target"][0]["detailCodeableConcept"]["text"] == "轻"


def test_the_plan_carries_medicines_goals_and_the_next_visit() -> None:
    golden = EXAMPLES["controlled_vendor_a"]
    (plan,) = golden.of_type("CarePlan")
    assert plan["period"] == {"start": "2026-03-02", "end": "2026-06-01"}
    assert len(plan["activity"]) == len(golden.of_type("MedicationStatement")) + 1
    assert {g["reference"] for g in plan["goal"]} == {f"Goal/{g['id']}" for g in golden.of_type("Goal")}


def test_one_plan_a_person_but_one_observation_a_visit() -> None:
    first, second = EXAMPLES["controlled_vendor_a"], EXAMPLES["dangerous_vendor_a"]
    assert first.of_type("CarePlan")[0]["id"] == second.of_type("CarePlan")[0]["id"]
    assert first.coded("85354-9")[0]["id"] != second.coded("85354-9")[0]["id"]


def test_an_incomplete_form_writes_what_it_says_and_names_what_is_missing() -> None:
    golden = EXAMPLES["incomplete_vendor_a"]
    (pressure,) = golden.coded("85354-9")
    assert len(pressure["component"]) == 1
    assert any("舒张压" in line and "required-field" in line for line in golden.findings)
