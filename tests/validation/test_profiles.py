"""Profiles: cardinality, fixed values and patterns, types, bindings, slices, invariants (https://hl7.org/fhir/R4/profiling.html)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.validation.definitions import Definitions, from_structure_definition, shipped
from gateway.validation.validator import Validator
from tests.validation.samples import CATEGORY, LOINC, component, errors, observation, patient, pressure, warnings

BP = "http://hl7.org/fhir/StructureDefinition/bp"
URL = "http://example.org/StructureDefinition/own"


@pytest.mark.parametrize(
    ("resource", "code", "target"),
    [
        (pressure(component=[component("8480-6", 120)]), "missing-slice", "Observation.component"),
        (pressure(component=[component("8480-6", 120)] * 2 + [component("8462-4", 80)]), "wrong-cardinality", "Observation.component"),
        (pressure(category=[{"text": "x"}]), "missing-slice", "Observation.category"),
        (pressure(code={"coding": [{"system": LOINC, "code": "8867-4"}]}), "missing-slice", "Observation.code.coding"),
        (
            pressure(component=[component("8480-6", 120), component("8462-4", 80) | {"valueQuantity": {"value": 80, "unit": "kPa"}}]),
            "missing-element",
            "Observation.component[1].value.ofType(Quantity).code",
        ),
        ({k: v for k, v in pressure().items() if k != "effectiveDateTime"}, "missing-element", "Observation.effective"),
        (pressure(effectiveDateTime="2026"), "broken-invariant", "Observation.effective.ofType(dateTime)"),
        ({k: v for k, v in pressure().items() if k != "subject"}, "missing-element", "Observation.subject"),
        (pressure(subject={"reference": "Group/1"}), "bad-reference", "Observation.subject.reference"),
    ],
)
def test_the_blood_pressure_profile_is_held(resource: dict[str, Any], code: str, target: str) -> None:
    assert (code, target) in errors(resource)


def test_a_vital_sign_that_declares_nothing_is_warned_of() -> None:
    undeclared = {k: v for k, v in pressure(component=[component("8480-6", 120)]).items() if k != "meta"}
    assert errors(undeclared) == []
    assert ("missing-slice", "Observation.component") in warnings(undeclared)
    assert errors(undeclared, BP) == [("missing-element", "Observation.component"), ("missing-slice", "Observation.component")]


def test_a_vital_sign_without_its_own_code_is_an_error() -> None:
    temperature = {"coding": [{"system": "http://snomed.info/sct", "code": "386725007"}]}
    assert errors(observation(category=[CATEGORY], code=temperature)) == [("missing-slice", "Observation.code")]


def test_a_profile_that_is_not_known_is_a_warning_when_declared_and_an_error_when_asked_for() -> None:
    assert warnings(patient(meta={"profile": [URL]})) == [("unknown-profile", "Patient.meta.profile")]
    assert errors(patient(), URL) == [("unknown-profile", "Patient")]


def profiled(type_: str, *elements: dict[str, Any], base: str = "") -> Definitions:
    """R4 with one profile more."""
    whole = {
        "resourceType": "StructureDefinition",
        "url": URL,
        "type": type_,
        "baseDefinition": base or f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "derivation": "constraint",
        "differential": {"element": [{"id": type_, "path": type_}, *elements]},
    }
    return shipped().extended([from_structure_definition(whole)])


def element(id_: str, **said: Any) -> dict[str, Any]:
    """An element of a differential."""
    return {"id": id_, "path": ".".join(s.partition(":")[0] for s in id_.split(".")), **said}


def judged(definitions: Definitions, resource: dict[str, Any]) -> list[tuple[str, str]]:
    """(code, target) of each error by the profile."""
    return [(f.code, f.target) for f in Validator(definitions).check(resource, [URL]) if f.severity == "refuse"]


NUMBER = "urn:oid:1.2.156.112649"


@pytest.mark.parametrize(
    ("elements", "resource", "expected"),
    [
        ([element("Patient.birthDate", min=1)], patient(), [("missing-element", "Patient.birthDate")]),
        ([element("Patient.photo", max="0")], patient(photo=[{"title": "x"}]), [("wrong-cardinality", "Patient.photo")]),
        ([element("Patient.active", fixedBoolean=True)], patient(active=False), [("wrong-fixed", "Patient.active")]),
        ([element("Patient.active", fixedBoolean=True)], patient(active=True), []),
        ([element("Patient.name.use", patternCode="usual")], patient(name=[{"use": "usual"}]), []),
        ([element("Patient.deceased[x]", type=[{"code": "boolean"}])], patient(deceasedDateTime="2026"),
         [("wrong-type", "Patient.deceased.ofType(dateTime)")]),
        ([element("Patient.gender", constraint=[{"key": "own-1", "severity": "error", "expression": "$this = 'female'", "human": "x"}])],
         patient(gender="male"), [("broken-invariant", "Patient.gender")]),
        ([element("Patient.maritalStatus", binding={"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"})],
         patient(maritalStatus={"text": "x"}), [("code-not-allowed", "Patient.maritalStatus")]),
    ],
)  # fmt: skip
def test_what_a_differential_says_is_held(elements: list[dict[str, Any]], resource: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert judged(profiled("Patient", *elements), resource) == expected


def sliced(rules: str = "open", kind: str = "value") -> Definitions:
    """A Patient whose identifiers are sliced by system: an identity number must be there once."""
    told = {"discriminator": [{"type": kind, "path": "system"}], "rules": rules}
    return profiled(
        "Patient",
        element("Patient.identifier", slicing=told),
        element("Patient.identifier:number", sliceName="number", min=1, max="1"),
        element("Patient.identifier:number.system", fixedUri=NUMBER),
        element("Patient.identifier:number.value", min=1),
    )


@pytest.mark.parametrize("kind", ["value", "pattern"])
def test_a_slice_is_told_by_its_discriminator(kind: str) -> None:
    right = {"system": NUMBER, "value": "1"}
    other = {"system": "http://x.org", "value": "2"}
    assert judged(sliced(kind=kind), patient(identifier=[right, other])) == []
    assert judged(sliced(kind=kind), patient(identifier=[other])) == [("missing-slice", "Patient.identifier")]
    assert judged(sliced(kind=kind), patient(identifier=[right, right])) == [("wrong-cardinality", "Patient.identifier")]
    assert judged(sliced(kind=kind), patient(identifier=[{"system": NUMBER}])) == [("missing-element", "Patient.identifier[0].value")]
    assert judged(sliced("closed", kind), patient(identifier=[right, other])) == [("wrong-slice", "Patient.identifier[1]")]


def test_a_slice_may_be_told_by_type_and_by_profile() -> None:
    by_type = profiled(
        "Observation",
        element("Observation.value[x]", slicing={"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}),
        element("Observation.value[x]:valueQuantity", sliceName="valueQuantity", type=[{"code": "Quantity"}]),
        element("Observation.value[x]:valueQuantity.unit", min=1),
    )
    assert judged(by_type, observation(valueQuantity={"value": 1})) == [("missing-element", "Observation.value.ofType(Quantity).unit")]
    assert judged(by_type, observation(valueString="x")) == [("wrong-slice", "Observation.value.ofType(string)")]
    told = {"discriminator": [{"type": "profile", "path": "resolve()"}], "rules": "open"}
    by_profile = profiled(
        "Observation",
        element("Observation.hasMember", slicing=told),
        element("Observation.hasMember:bp", sliceName="bp", min=1, type=[{"code": "Reference", "targetProfile": [BP]}]),
    )
    held = pressure(id="a")
    assert judged(by_profile, observation(contained=[held], hasMember=[{"reference": "#a"}])) == []
    wrong = observation(id="a")
    assert judged(by_profile, observation(contained=[wrong], hasMember=[{"reference": "#a"}])) == [("missing-slice", "Observation.hasMember")]


def test_a_profile_holds_what_its_base_holds() -> None:
    stricter = profiled("Observation", element("Observation.performer", min=1), base=BP)
    assert judged(stricter, pressure()) == [("missing-element", "Observation.performer")]
    assert ("missing-slice", "Observation.component") in judged(stricter, pressure(component=[component("8480-6", 1)]))
