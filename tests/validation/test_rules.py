"""Rules that R4 states in prose, type by type (https://hl7.org/fhir/R4/resourcelist.html)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validation.samples import errors, observation, patient

BASE = "http://example.org/fhir"
SPEC = "http://hl7.org/fhir/StructureDefinition/"


def bundle(type_: str, *entries: Any, **elements: Any) -> dict[str, Any]:
    """A Bundle."""
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries), **elements}


def entry(resource: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """An entry with the full URL of its resource."""
    return {"fullUrl": f"{BASE}/{resource['resourceType']}/{resource.get('id', 'x')}", "resource": resource, **elements}


P1 = patient(id="1")
MATCH = {"search": {"mode": "match"}}


@pytest.mark.parametrize(
    ("resource", "code", "target"),
    [
        (bundle("collection", {"resource": P1}), "missing-element", "Bundle.entry[0].fullUrl"),
        (bundle("collection", {"fullUrl": "Patient/1", "resource": P1}), "bad-full-url", "Bundle.entry[0].fullUrl"),
        (bundle("collection", {"fullUrl": f"{BASE}/Patient/2", "resource": P1}), "bad-full-url", "Bundle.entry[0].fullUrl"),
        (bundle("collection", {"fullUrl": f"{BASE}/Group/1", "resource": P1}), "bad-full-url", "Bundle.entry[0].fullUrl"),
        (bundle("collection", entry(P1), entry(P1)), "broken-invariant", "Bundle"),
        (bundle("searchset", link=[{"relation": "self", "url": "x"}] * 2), "duplicate-link", "Bundle.link[1]"),
        (bundle("searchset", entry(patient(), **MATCH)), "missing-element", "Bundle.entry[0].resource.id"),
        (bundle("searchset", entry(P1, search={"mode": "outcome"})), "wrong-type", "Bundle.entry[0].resource"),
        (
            bundle("searchset", entry(P1, **MATCH), link=[{"relation": "self", "url": f"{BASE}/Group?name=x"}]),
            "wrong-type",
            "Bundle.entry[0].resource",
        ),
        (
            bundle("transaction", {"resource": observation(subject={"reference": "Patient/1"}), "request": {"method": "POST", "url": "Observation"}}),
            "missing-element",
            "Bundle.entry[0].resource.subject.reference",
        ),
        (bundle("document", entry(P1)), "missing-element", "Bundle.entry"),
        (bundle("message", entry(P1)), "missing-element", "Bundle.entry"),
    ],
)
def test_a_bundle_is_held_to_its_rules(resource: dict[str, Any], code: str, target: str) -> None:
    assert (code, target) in errors(resource)


def document(*others: dict[str, Any], subject: str = "Patient/1") -> dict[str, Any]:
    """A document about a Patient."""
    composition = {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "type": {"text": "x"},
        "date": "2026-05-01",
        "author": [{"display": "x"}],
        "title": "x",
        "subject": {"reference": subject},
    }
    whole = bundle("document", entry(composition), *others, identifier={"system": "http://x.org", "value": "1"})
    return whole | {"timestamp": "2026-05-01T08:30:00+08:00"}


def test_a_document_holds_what_it_names_and_nothing_else() -> None:
    assert errors(document(entry(P1))) == []
    assert errors(document(entry(P1), entry(observation(id="o", subject={"reference": "Patient/1"})))) == []
    assert errors(document()) == [("unresolved-reference", "Bundle.entry[0].resource.subject")]
    assert errors(document(entry(P1), entry(observation(id="o")))) == [("unreachable-entry", "Bundle.entry[2]")]
    assert errors(document({"fullUrl": "urn:uuid:6a2ee390-978e-42c6-8f88-c17dff3bd8ab", "resource": P1}))


def code_system(**elements: Any) -> dict[str, Any]:
    """A code system of two concepts."""
    return {
        "resourceType": "CodeSystem",
        "url": "http://x.org/s",
        "status": "draft",
        "content": "complete",
        "concept": [{"code": "a"}, {"code": "b"}],
        **elements,
    }


PROPERTY = {"code": "notSelectable", "uri": "http://hl7.org/fhir/concept-properties#notSelectable", "type": "boolean"}


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (code_system(count=3), "wrong-count"),
        (code_system(property=[PROPERTY | {"type": "string"}]), "wrong-type"),
        (code_system(property=[PROPERTY, PROPERTY]), "duplicate-property"),
        (code_system(property=[PROPERTY], concept=[{"code": "a", "property": [{"code": "notSelectable", "valueString": "x"}]}]), "wrong-type"),
        (code_system(concept=[{"code": "a"}, {"code": "a"}]), "broken-invariant"),
        ({"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"system": "relative"}]}}, "bad-system"),
        (
            {
                "resourceType": "ValueSet",
                "status": "draft",
                "compose": {"include": [{"system": "http://hl7.org/fhir/administrative-gender", "concept": [{"code": "x"}]}]},
            },
            "unknown-code",
        ),
    ],
)
def test_code_systems_and_value_sets_agree_with_themselves(resource: dict[str, Any], code: str) -> None:
    assert code in [c for c, _ in errors(resource)]
    assert errors(code_system(count=2, property=[PROPERTY])) == []


def search_parameter(**elements: Any) -> dict[str, Any]:
    """A search parameter of a site."""
    whole = {"url": "http://x.org/p", "name": "P", "status": "draft", "description": "x", "code": "p", "base": ["Organization"], "type": "string"}
    return {"resourceType": "SearchParameter", **whole, "expression": "Organization.name", **elements}


def test_a_search_parameter_keeps_the_type_that_it_is_derived_from() -> None:
    name = "http://hl7.org/fhir/SearchParameter/Organization-name"
    assert errors(search_parameter(derivedFrom=name)) == []
    assert errors(search_parameter(derivedFrom=name, type="token")) == [("wrong-type", "SearchParameter.type")]
    assert errors(search_parameter(type="composite")) == [("missing-element", "SearchParameter.component")]


def test_a_capability_statement_declares_r4s_parameters_with_their_type() -> None:
    declared = {"name": "name", "definition": "http://hl7.org/fhir/SearchParameter/Organization-name", "type": "token"}
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "draft",
        "date": "2026-05-01",
        "kind": "requirements",
        "description": "x",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [{"type": "Organization", "searchParam": [declared]}]}],
    }
    assert errors(statement) == [("wrong-type", "CapabilityStatement.rest[0].resource[0].searchParam[0].type")]


def test_a_differential_names_elements_that_the_type_has() -> None:
    profile = {
        "resourceType": "StructureDefinition",
        "url": "http://x.org/d",
        "name": "D",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Observation",
        "baseDefinition": SPEC + "Observation",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Observation.valueBla", "path": "Observation.valueBla"}]},
    }
    assert errors(profile) == [("unknown-path", "StructureDefinition.differential.element[0].path")]
    paths = ["Observation.value[x]", "Observation.component.valueQuantity.code", "Observation.subject.identifier.system"]
    right = {"element": [{"id": p, "path": p} for p in paths]}
    assert errors(profile | {"differential": right}) == []
