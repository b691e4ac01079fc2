"""The judge sees what is lost, doubled, wrong or of somebody else, and nothing in a store that is right."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from gateway.demo.expected import Expected
from gateway.demo.scenario import Scenario
from gateway.demo.truth import Truth, Verdict

BASE = "https://demo.invalid/fhir"
SCENARIO = Scenario(seed=5, residents=24)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return SCENARIO.truth


def body(one: Expected) -> dict[str, Any]:
    """The least resource that says what is expected."""
    found: dict[str, Any] = {"resourceType": one.type, "identifier": [{"system": f"{BASE}/ids/{one.namespace}", "value": one.value}]}
    if one.person is not None:
        found["subject"] = {"reference": f"Patient/p{one.person}"}
    for what, how in one.says:
        if what == "status":
            found["status"] = how
        elif what == "code":
            found["code"] = {"coding": [{"code": how}]}
        elif what == "value":
            found["valueQuantity"] = found.get("valueQuantity", {}) | {"value": how}
        elif what == "unit":
            found["valueQuantity"] = found.get("valueQuantity", {}) | {"code": how}
        elif what == "name":
            found["name"] = how if one.type == "Organization" else [{"text": how}]
        else:
            component = {"code": {"coding": [{"code": what}]}, "valueQuantity": {"value": how}}
            found["component"] = [*found.get("component", ()), component]
    return found


@pytest.fixture
def store(truth: Truth) -> list[dict[str, Any]]:
    """A store that holds exactly the truth."""
    patients = [
        {
            "resourceType": "Patient",
            "id": f"p{number}",
            "name": [{"text": persona.name}],
            "identifier": [{"system": s, "value": v} for s, v in sorted(persona.numbers)],
        }
        for number, persona in truth.personas.items()
    ]
    return deepcopy([*patients, *(body(one) for one in truth.expected.values())])


def first(store: list[dict[str, Any]], type_: str, part: str = "") -> dict[str, Any]:
    return next(r for r in store if r["resourceType"] == type_ and any(part in i["system"] for i in r["identifier"]))


def test_a_true_store_has_nothing_to_complain_of(truth: Truth, store: list[dict[str, Any]]) -> None:
    assert truth.judge(store, BASE) == Verdict([], [], [])


def test_one_resource_dropped_is_lost(truth: Truth, store: list[dict[str, Any]]) -> None:
    gone = first(store, "Observation", "htn-bp")
    store.remove(gone)
    assert truth.judge(store, BASE) == Verdict([f"Observation htn-bp {gone['identifier'][0]['value']}"], [], [])


def test_one_resource_doubled_is_doubled(truth: Truth, store: list[dict[str, Any]]) -> None:
    twice = first(store, "MedicationRequest")
    store.append(twice | {"id": "other"})
    assert truth.judge(store, BASE) == Verdict([], [f"MedicationRequest prescription-item {twice['identifier'][0]['value']}"], [])


def test_one_person_as_two_active_patients_is_doubled_and_one_linked_away_is_not(truth: Truth, store: list[dict[str, Any]]) -> None:
    patient = first(store, "Patient")
    other = patient | {"id": "other"}
    assert truth.judge([*store, other], BASE).duplicated == [f"Patient {patient['name'][0]['text']}"]
    linked = other | {"active": False, "link": [{"other": {"reference": f"Patient/{patient['id']}"}, "type": "replaced-by"}]}
    assert truth.judge([*store, linked], BASE) == Verdict([], [], [])


def test_a_value_a_status_and_a_person_that_are_not_true_are_wrong(truth: Truth, store: list[dict[str, Any]]) -> None:
    pressure = first(store, "Observation", "htn-bp")
    pressure["component"][0]["valueQuantity"]["value"] = "301"
    order = first(store, "MedicationRequest")
    order["status"] = "draft"
    visit = first(store, "Encounter", "ids/visit")
    visit["subject"] = {"reference": "Patient/somebody"}
    verdict = truth.judge(store, BASE)
    assert (verdict.lost, verdict.duplicated) == ([], [])
    assert sorted(w.split()[0] for w in verdict.wrong) == ["Encounter", "MedicationRequest", "Observation"]


def test_what_should_have_been_held_is_wrong_when_it_is_there(truth: Truth, store: list[dict[str, Any]]) -> None:
    village = first(store, "Observation", "village-glucose")
    number = village["identifier"][0]["value"].partition("/")[0]
    held = village | {"identifier": [{"system": f"{BASE}/ids/village-glucose", "value": f"{number}/WX0002"}]}
    assert truth.judge([*store, held], BASE).wrong == [f"Observation village-glucose {number}/WX0002: nobody said this"]


def test_a_person_merged_with_another_is_lost(truth: Truth, store: list[dict[str, Any]]) -> None:
    patient = first(store, "Patient")
    store.remove(patient)
    verdict = truth.judge(store, BASE)
    assert f"Patient {patient['name'][0]['text']}" in verdict.lost
    assert verdict.wrong  # what belonged to that person now belongs to nobody known
