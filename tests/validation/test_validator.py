"""What is wrong with a resource is found with its place; what is right passes (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validation.samples import DIV, VALIDATOR, errors, observation, patient, pressure, warnings

SPEC = "http://hl7.org/fhir/StructureDefinition/"


@pytest.mark.parametrize("resource", [patient(), observation(), pressure(), patient(text={"status": "generated", "div": DIV.format("<p>张三</p>")})])
def test_what_is_right_passes(resource: dict[str, Any]) -> None:
    assert errors(resource) == []


@pytest.mark.parametrize(
    ("resource", "code", "target"),
    [
        ({"resourceType": "Observation", "code": {"text": "x"}}, "missing-element", "Observation.status"),
        (patient(colour="red"), "unknown-element", "Patient.colour"),
        (patient(name={"family": "张"}), "wrong-shape", "Patient.name"),
        (patient(birthDate="2026-02-30"), "bad-value", "Patient.birthDate"),
        (patient(gender="男"), "code-not-allowed", "Patient.gender"),
        (patient(gender=""), "code-not-allowed", "Patient.gender"),
        (observation(valueString="x", valueInteger=1), "wrong-cardinality", "Observation"),
        (patient(id="under_score"), "bad-value", "Patient.id"),
        (patient(contact=[{"gender": "male"}]), "broken-invariant", "Patient.contact[0]"),
        (patient(telecom=[{"value": "1"}]), "broken-invariant", "Patient.telecom[0]"),
        (observation(effectivePeriod={"start": "2026-05-02", "end": "2026-05-01"}), "broken-invariant", "Observation.effective.ofType(Period)"),
        (observation(subject={"reference": "#p"}), "unresolved-fragment", "Observation.subject.reference"),
        (patient(text={"status": "generated", "div": DIV.format("<script>x</script>")}), "bad-narrative", "Patient.text.div"),
        (patient(text={"status": "generated", "div": DIV.format("")}), "bad-narrative", "Patient.text.div"),
        (patient(text={"status": "generated", "div": DIV.format('<p banana="x">x</p>')}), "bad-narrative", "Patient.text.div"),
        (patient(name=[{"text": "<b>张三</b>"}]), "unsafe-text", "Patient.name[0].text"),
        (patient(identifier=[{"system": "urn:ietf:rfc:3986", "value": "1"}]), "bad-identifier", "Patient.identifier[0].value"),
        (patient(identifier=[{"system": "urn:oid:x", "value": "1"}]), "bad-urn", "Patient.identifier[0].system"),
        (patient(meta={"profile": ["Patient"]}), "bad-canonical", "Patient.meta.profile[0]"),
        (patient(photo=[{"contentType": "image/png", "data": "aGVsbG8=", "size": 4}]), "wrong-size", "Patient.photo[0].size"),
        (patient(photo=[{"contentType": "image/png", "data": "aGVsbG8=", "hash": "eA=="}]), "wrong-hash", "Patient.photo[0].hash"),
        (patient(name=[{"id": "a"}, {"id": "a"}]), "duplicate-id", "Patient.name[1].id"),
        (patient(contained=[{"resourceType": "Basic", "id": "b", "code": {"text": "x"}}]), "unused-contained", "Patient.contained[0]"),
        (observation(code={"coding": [{"system": "relative", "code": "x"}]}), "bad-system", "Observation.code.coding[0].system"),
        (observation(code={"coding": [{"system": "http://loinc.org", "code": "8480-7"}]}), "unknown-code", "Observation.code.coding[0].code"),
        (observation(code={"coding": [{"system": "http://snomed.info/sct", "code": "12x"}]}), "unknown-code", "Observation.code.coding[0].code"),
        (
            patient(maritalStatus={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "?"}]}),
            "unknown-code",
            "Patient.maritalStatus.coding[0].code",
        ),
    ],
)
def test_a_fault_is_found_at_its_place(resource: dict[str, Any], code: str, target: str) -> None:
    assert (code, target) in errors(resource)


def test_a_wrong_type_of_reference_is_an_error_when_its_target_is_at_hand() -> None:
    held = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
    assert errors(observation(subject={"reference": "#b"}, contained=[held])) == [("bad-reference", "Observation.subject.reference")]
    assert errors(observation(subject={"reference": "Basic/1"})) == []
    assert warnings(observation(subject={"reference": "Basic/1"})) == [("bad-reference", "Observation.subject.reference")]


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (patient(extension=[{"url": SPEC + "patient-birthPlace", "valueString": "x"}]), "wrong-type"),
        (observation(extension=[{"url": SPEC + "patient-birthPlace", "valueAddress": {"text": "x"}}]), "misplaced-extension"),
        (patient(modifierExtension=[{"url": SPEC + "patient-birthPlace", "valueAddress": {"text": "x"}}]), "bad-extension"),
        (patient(extension=[{"url": SPEC + "patient-birthPlace|4.0.1", "valueAddress": {"text": "x"}}]), "bad-extension"),
        (patient(extension=[{"url": "relative", "valueString": "x"}]), "bad-extension"),
        (patient(extension=[{"url": SPEC + "patient-nationality", "extension": [{"url": "banana", "valueString": "x"}]}]), "unknown-extension"),
        (patient(extension=[{"url": SPEC + "data-absent-reason", "valueCode": "bogus"}]), "code-not-allowed"),
    ],
)
def test_an_extension_is_held_to_its_definition(resource: dict[str, Any], code: str) -> None:
    assert code in [c for c, _ in errors(resource)]


def test_an_extension_that_is_right_passes() -> None:
    right = [
        {"url": SPEC + "patient-birthPlace", "valueAddress": {"text": "x"}},
        {"url": SPEC + "patient-nationality", "extension": [{"url": "code", "valueCodeableConcept": {"text": "x"}}]},
    ]
    assert errors(patient(extension=right)) == []
    unknown = patient(extension=[{"url": "http://example.org/own", "valueString": "x"}])
    assert errors(unknown) == [] and any(f.code == "unknown-extension" and f.severity == "note" for f in VALIDATOR.check(unknown))


def test_a_value_without_shape_is_told_and_not_judged_further() -> None:
    for junk in (None, [], "x", {"resourceType": "Banana"}, {"resourceType": "Patient", "contact": 5, "name": [None], "contained": [5]}):
        assert errors(junk)


def test_a_reference_to_something_contained_that_is_no_resource_is_told() -> None:
    held = {"resourceType": ["Patient"], "id": "p"}
    assert ("unknown-type", "Observation.contained[0].resourceType") in errors(observation(subject={"reference": "#p"}, contained=[held]))
