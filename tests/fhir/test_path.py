"""The compiled FHIRPath of search parameters against fhirpathpy, on resources of our own."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from gateway.fhir.elements import R4, load
from gateway.fhir.parameters import branches
from gateway.fhir.path import Extractor, PathError, parse_path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import fhirpathpy
    from fhirpathpy.models import models

CODE = {"coding": [{"system": "urn:s", "code": "c"}, {"code": "d"}], "text": "t"}
QUANTITY = {"value": 5, "unit": "g/L", "system": "http://unitsofmeasure.org", "code": "g/L"}
SAMPLES: list[dict[str, Any]] = [
    {
        "resourceType": "Observation",
        "id": "o1",
        "meta": {"tag": [{"code": "x"}], "profile": ["http://p/1"], "lastUpdated": "2026-01-31T08:00:00Z"},
        "identifier": [{"system": "urn:i", "value": "1"}],
        "basedOn": [{"reference": "ServiceRequest/s"}],
        "status": "final",
        "category": [CODE, CODE],
        "code": CODE,
        "subject": {"reference": "Patient/p"},
        "effectivePeriod": {"start": "2026"},
        "performer": [{"reference": "Organization/o"}, {"reference": "Practitioner/d"}],
        "valueCodeableConcept": CODE,
        "component": [{"code": CODE, "valueQuantity": QUANTITY}, {"code": CODE, "valueCodeableConcept": CODE}],
    },
    {"resourceType": "Observation", "status": "final", "code": CODE, "subject": {"reference": "Group/g"}, "valueString": "阴性"},
    {"resourceType": "Observation", "status": "final", "code": CODE, "valueQuantity": QUANTITY, "effectiveDateTime": "2026-01"},
    {
        "resourceType": "Patient",
        "id": "p1",
        "active": True,
        "name": [{"family": "欧阳", "given": ["澄", "澈"]}, {"text": "欧阳澄澈"}],
        "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b.c"}, {"value": "3"}],
        "deceasedBoolean": False,
        "address": [{"city": "清溪", "use": "home", "line": ["a", "b"]}],
        "link": [{"other": {"reference": "Patient/2"}, "type": "seealso"}],
        "communication": [{"language": CODE}],
    },
    {"resourceType": "Patient", "deceasedDateTime": "2026-01-01"},
    {"resourceType": "Patient"},
    {
        "resourceType": "Condition",
        "code": CODE,
        "subject": {"reference": "Patient/p"},
        "onsetAge": {"value": 3, "unit": "a"},
        "abatementString": "早",
        "evidence": [{"code": [CODE], "detail": [{"reference": "Observation/1"}]}],
        "stage": [{"summary": CODE}],
    },
    {
        "resourceType": "PlanDefinition",
        "status": "draft",
        "relatedArtifact": [{"type": "depends-on", "resource": "http://x"}, {"type": "composed-of", "resource": "http://y"}],
        "useContext": [{"code": {"code": "age"}, "valueQuantity": QUANTITY}, {"code": {"code": "focus"}, "valueCodeableConcept": CODE}],
    },
    {
        "resourceType": "Bundle",
        "type": "document",
        "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}, {"resource": {"resourceType": "Patient", "id": "x"}}],
    },
    {"resourceType": "InsurancePlan", "name": "n", "alias": ["a", "b"]},
    {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/p"},
        "participant": [{"individual": {"reference": "Practitioner/1"}}, {"individual": {"reference": "RelatedPerson/1"}}],
        "period": {"start": "2026-01-01", "end": "2026-01-02"},
        "location": [{"location": {"reference": "Location/1"}, "period": {"start": "2026"}}],
    },
]


@pytest.fixture(scope="module")
def r4() -> R4:
    return load()


def peer(expression: str) -> Callable[[Any], list[Any]]:
    """fhirpathpy; what a reference resolves to is asked of its text, as here."""
    return lambda resource: list(fhirpathpy.evaluate(resource, expression, {}, models["r4"]))


def plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def oracle(sample: dict[str, Any], branch: str) -> list[str]:
    path, where, target = branch.partition(".where(resolve() is ")
    path = re.sub(r"^(Domain)?Resource\.", sample["resourceType"] + ".", path)  # fhirpathpy does not know the base types
    found = [v for v in peer(path)(sample) if not where or v["reference"].startswith(target.rstrip(") ") + "/")]
    return sorted(map(plain, found))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s['resourceType']}-{len(s)}")
def test_every_search_expression_finds_what_fhirpath_finds(r4: R4, sample: dict[str, Any]) -> None:
    type_ = sample["resourceType"]
    found = 0
    for parameter in r4.search(type_).values():
        for branch in branches(parameter.expression):
            ours = Extractor(r4, type_, [(0, branch)])(sample)
            if parameter.type != "composite":
                assert sorted(plain(value) for _, _, value in ours) == oracle(sample, branch), branch
                found += len(ours)
    assert found


def test_many_expressions_in_one_pass_give_the_same(r4: R4) -> None:
    for sample in SAMPLES:
        type_ = sample["resourceType"]
        expressions = [b for p in r4.search(type_).values() for b in branches(p.expression)]
        together = Extractor(r4, type_, enumerate(expressions))(sample)
        alone = [(n, t, v) for n, b in enumerate(expressions) for _, t, v in Extractor(r4, type_, [(0, b)])(sample)]
        assert sorted((n, t, plain(v)) for n, t, v in together) == sorted((n, t, plain(v)) for n, t, v in alone)


def test_every_search_expression_of_r4_compiles(r4: R4) -> None:
    for type_ in r4.resource_types():
        Extractor(r4, type_, enumerate(b for p in r4.search(type_).values() for b in branches(p.expression)))


def test_the_type_of_a_value_comes_with_it(r4: R4) -> None:
    extract = Extractor(r4, "Observation", [("date", "Observation.effective"), ("code", "Observation.component.value.ofType(CodeableConcept)")])
    assert [(which, type_) for which, type_, _ in extract(SAMPLES[0])] == [("date", "Period"), ("code", "CodeableConcept")]
    assert [(which, type_) for which, type_, _ in extract(SAMPLES[2])] == [("date", "dateTime")]


def test_references_are_chosen_by_the_type_they_name(r4: R4) -> None:
    extract = Extractor(r4, "Observation", [(0, "Observation.subject.where(resolve() is Patient)")])
    for reference in ("Patient/1", "https://x/fhir/Patient/1", "Patient/1/_history/2"):
        assert extract({"subject": {"reference": reference}})
    assert extract({"subject": {"type": "Patient", "identifier": {"value": "1"}}})
    for subject in ({"reference": "Group/Patient"}, {"reference": "#Patient"}, {"display": "Patient"}, "Patient/1"):
        assert not extract({"subject": subject})


@pytest.mark.parametrize("expression", ["", "Observation.colour", "Observation.code.first()", "Nothing.code", "Observation.code + 1", ".code"])
def test_what_is_outside_the_subset_is_refused_when_it_is_compiled(r4: R4, expression: str) -> None:
    with pytest.raises(PathError):
        Extractor(r4, "Observation", [(0, expression)])


def test_steps_of_an_expression() -> None:
    root, steps = parse_path("(Patient.telecom.where(system='phone') as X)")
    assert (root, [s.kind for s in steps]) == ("Patient", ["member", "where", "cast"])
