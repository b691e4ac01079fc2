"""Small valid resources, written for these tests, that are broken one way each."""

from __future__ import annotations

from typing import Any

from gateway.validation.validator import Validator

Json = dict[str, Any]
VALIDATOR = Validator()
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
LOINC = "http://loinc.org"
CATEGORY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}


def errors(resource: Any, *profiles: str) -> list[tuple[str, str]]:
    """(code, target) of each error."""
    return [(f.code, f.target) for f in VALIDATOR.check(resource, profiles) if f.severity == "refuse"]


def warnings(resource: Any) -> list[tuple[str, str]]:
    """(code, target) of each warning, without the one that a narrative is missing."""
    found = [f for f in VALIDATOR.check(resource) if f.severity == "drop" and "dom-6" not in f.message]
    return [(f.code, f.target) for f in found]


def patient(**elements: Any) -> Json:
    """A Patient with a name."""
    return {"resourceType": "Patient", "name": [{"family": "张", "given": ["三"]}], **elements}


def component(code: str, value: int) -> Json:
    """One pressure."""
    quantity = {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity}


def pressure(**elements: Any) -> Json:
    """A blood pressure that declares R4's profile."""
    return {
        "resourceType": "Observation",
        "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/bp"]},
        "status": "final",
        "category": [CATEGORY],
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2026-05-01T08:30:00+08:00",
        "component": [component("8480-6", 120), component("8462-4", 80)],
        **elements,
    }


def observation(**elements: Any) -> Json:
    """An Observation without profile."""
    return {"resourceType": "Observation", "status": "final", "code": {"text": "血糖"}, **elements}
