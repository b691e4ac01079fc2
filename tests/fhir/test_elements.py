"""The committed R4 table: whole, and read as R4 says."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys

import pytest

from gateway.builtin import PROFILES
from gateway.fhir.elements import R4, load
from gateway.fhir.parameters import branches


@pytest.fixture(scope="module")
def r4() -> R4:
    return load()


def digest(name: str) -> str:
    """Of the content's shape and values, not of its compression."""
    text = gzip.decompress((PROFILES / "r4" / name).read_bytes())
    return hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode()).hexdigest()[:16]


def test_the_table_is_the_one_that_was_built() -> None:
    # changes only with tools/build_r4_table.py: run it and put the new digests here
    assert {n: digest(f"{n}.json.gz") for n in ("types", "codes", "search")} == EXPECTED


EXPECTED = {"types": "0a157c036b59a192", "codes": "4ce4a83aba9e7bdb", "search": "2d1ed642cdf21490"}


def test_the_table_is_small() -> None:
    assert sum(p.stat().st_size for p in (PROFILES / "r4").iterdir()) < 1_500_000


def test_every_type_of_r4_is_there(r4: R4) -> None:
    assert len(r4.resource_types()) == 146
    assert {n for n, t in r4.types.items() if t.abstract} == {"Element", "BackboneElement", "Resource", "DomainResource"}
    assert "SubscriptionStatus" not in r4.types  # R4B, though the package carries it
    assert r4.ancestors("Age") == ("Age", "Quantity", "Element")


def test_an_element_carries_what_r4_says_of_it(r4: R4) -> None:
    elements = r4.types["Observation"].elements
    status = elements["status"]
    assert (status.types, status.min, status.many, status.modifier, status.summary) == (("code",), 1, False, True, True)
    assert status.binding is not None and status.binding.strength == "required"
    assert elements["category"].many and elements["category"].binding is None
    assert elements["subject"].targets == ("Device", "Group", "Location", "Patient")
    assert elements["value[x]"].choice and elements["value[x]"].json_name("dateTime") == "valueDateTime"
    assert r4.types["Patient"].elements["id"].types == ("id",)
    assert r4.types["Extension"].elements["url"].types == ("uri",)
    assert r4.types["decimal"].regex.startswith("-?")


def test_elements_by_the_name_that_json_uses(r4: R4) -> None:
    elements = r4.types["Observation"].elements
    found = r4.element(elements, "valueCodeableConcept")
    assert found is not None and (found[0].name, found[1]) == ("value[x]", "CodeableConcept")
    assert r4.element(elements, "valueAddress") is None
    assert r4.element(elements, "value[x]") is None
    assert r4.element(elements, "colour") is None
    assert r4.at("Observation.component.valueQuantity.value") is r4.types["Quantity"].elements["value"]
    assert r4.at("Observation.effectiveDateTime.x") is None
    assert r4.at("Nothing.x") is None


def test_a_content_reference_has_the_elements_it_names(r4: R4) -> None:
    item = r4.at("Questionnaire.item")
    again = r4.at("Questionnaire.item.item.item")
    assert item is not None and again is not None
    assert again.children is item.children and again.types == ("BackboneElement",)


def test_codes_of_required_bindings(r4: R4) -> None:
    codes = r4.codes("http://hl7.org/fhir/ValueSet/observation-status|4.0.1")
    assert codes is not None and ("http://hl7.org/fhir/observation-status", "entered-in-error") in codes and len(codes) == 8
    assert r4.codes("http://hl7.org/fhir/ValueSet/mimetypes") is None
    units = r4.codes("http://hl7.org/fhir/ValueSet/units-of-time")  # enumerated from UCUM
    assert units is not None and ("http://unitsofmeasure.org", "min") in units
    bound = {e.binding.valueset for t in r4.types.values() for e in t.elements.values() if e.binding and e.binding.strength == "required"}
    assert len([v for v in bound if r4.codes(v) is None]) < 6


def test_search_parameters_hold_only_the_branches_of_their_type(r4: R4) -> None:
    parameters = r4.search("Observation")
    assert parameters["code"].expression == "Observation.code"
    assert parameters["patient"].targets == ("Patient",)
    assert parameters["_lastUpdated"].expression == "Resource.meta.lastUpdated"
    assert len(parameters["code-value-quantity"].components) == 2
    assert r4.search("InsurancePlan")["name"].expression == "InsurancePlan.name | InsurancePlan.alias"
    assert r4.search("Patient") is r4.search("Patient")


def test_branches_respect_parentheses_and_strings() -> None:
    assert branches("A.b | (A.c | A.d).e | A.where(x='|')") == ["A.b", "(A.c | A.d).e", "A.where(x='|')"]
    assert branches("") == []


def test_loading_is_quick() -> None:
    program = (
        "import time; from gateway.fhir.elements import load; load(); start = time.process_time(); load.cache_clear();"
        "r4 = load(); r4.types['Observation']; print(time.process_time() - start)"
    )
    spent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(spent.stdout) < 0.15
