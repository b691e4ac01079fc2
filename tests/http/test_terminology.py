"""$lookup, $validate-code, $expand and $translate, over the tables of the mapping set and over what clients wrote
(https://hl7.org/fhir/R4/terminology-service.html)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from gateway.builtin import MAPPINGS
from gateway.fhir.structure import check
from gateway.mapping.files import MapFiles
from gateway.terminology.published import published
from gateway.terminology.tables import read_terms
from tests.http.conftest import Front

BASE = "https://yifang.invalid/fhir"
SEX, GENDER = "urn:oid:2.16.156.10011.2.3.3.4", "http://hl7.org/fhir/administrative-gender"
EDUCATION = f"{BASE}/CodeSystem/gw-edu"
LOCAL = "urn:test:wards"


@pytest.fixture(scope="module")
def terms(api: Front) -> Front:
    """A site to which a client wrote a code system with levels, a value set of it and a map from it."""
    wards = [{"code": "in", "display": "住院", "concept": [{"code": "icu", "display": "重症监护室"}]}, {"code": "out", "display": "门诊"}]
    head = {"status": "active"}
    system = {"resourceType": "CodeSystem", "id": "wards", "url": LOCAL, "content": "complete", "concept": wards} | head
    included = [{"system": LOCAL, "filter": [{"property": "concept", "op": "is-a", "value": "in"}]}]
    value_set = {"resourceType": "ValueSet", "id": "beds", "url": "urn:test:beds", "compose": {"include": included}} | head
    elements = [
        {"code": "icu", "target": [{"code": "IMP", "equivalence": "wider"}]},
        {"code": "out", "target": [{"code": "AMB", "display": "ambulatory", "equivalence": "equal"}]},
    ]
    group = {"source": LOCAL, "target": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "element": elements}
    concept_map = {"resourceType": "ConceptMap", "id": "classes", "url": "urn:test:classes", "group": [group]} | head
    for resource in (system, value_set, concept_map):
        assert api.write("PUT", f"/fhir/{resource['resourceType']}/{resource['id']}", resource).status_code == 201
    return api


def asked(front: Front, path: str, **parameters: str) -> dict[str, Any]:
    """What an operation answers, its parameters by name; `match` is a list of (equivalence, code)."""
    answer = front.get(f"/fhir/{path}?" + "&".join(f"{k}={quote(v)}" for k, v in parameters.items()))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = {"match": []}
    for row in answer.json().get("parameter", ()):
        if row["name"] == "match":
            parts = {part["name"]: part for part in row["part"]}
            told["match"].append((parts["equivalence"]["valueCode"], parts["concept"]["valueCoding"]["code"] if "concept" in parts else ""))
        elif "part" not in row:
            told[row["name"]] = next(v for k, v in row.items() if k.startswith("value"))
    return told


def refused(front: Front, path: str, **parameters: str) -> tuple[int, str]:
    answer = front.get(f"/fhir/{path}?" + "&".join(f"{k}={quote(v)}" for k, v in parameters.items()))
    return answer.status_code, answer.json()["issue"][0]["code"]


def test_every_table_is_a_resource_that_r4_allows() -> None:
    resources = published(read_terms(MapFiles.from_folders([MAPPINGS])), BASE)
    assert {type_ for type_, _ in resources} == {"CodeSystem", "ValueSet", "ConceptMap"}
    for (type_, url), resource in resources.items():
        assert (resource["resourceType"], resource["url"]) == (type_, url)
        assert check(resource) == [], url
    assert len({(r["resourceType"], r["id"]) for r in resources.values()}) == len(resources)


def test_lookup_tells_what_a_national_code_means(terms: Front) -> None:
    assert asked(terms, "CodeSystem/$lookup", system=SEX, code="1")["display"] == "男"
    assert asked(terms, "CodeSystem/$lookup", system=LOCAL, code="icu") == {"match": [], "name": LOCAL, "display": "重症监护室"}
    assert asked(terms, "CodeSystem/$lookup", system=GENDER, code="male")["display"] == "male", "R4's own lists have no displays here"
    assert refused(terms, "CodeSystem/$lookup", system=SEX, code="7") == (404, "not-found")
    assert refused(terms, "CodeSystem/$lookup", system="urn:nobody", code="1") == (404, "not-found")
    assert refused(terms, "CodeSystem/$lookup", system=SEX) == (400, "required")


def test_validate_code_by_system_and_by_value_set(terms: Front) -> None:
    assert asked(terms, "CodeSystem/$validate-code", url=LOCAL, code="icu")["result"] is True
    assert asked(terms, "CodeSystem/$validate-code", url=LOCAL, code="zzz")["result"] is False
    assert refused(terms, "CodeSystem/$validate-code", url="urn:nobody", code="1") == (404, "not-found")
    valid = asked(terms, "ValueSet/$validate-code", url="urn:test:beds", system=LOCAL, code="icu")
    assert (valid["result"], valid["display"]) == (True, "重症监护室")
    other = asked(terms, "ValueSet/beds/$validate-code", system=LOCAL, code="out")
    assert other["result"] is False
    assert "out" in other["message"]
    assert asked(terms, "ValueSet/$validate-code", url=f"{BASE}/ValueSet/gw-edu", code="2")["display"] == "大学本科"
    wrong = asked(terms, "ValueSet/$validate-code", url=f"{BASE}/ValueSet/gw-edu", system=EDUCATION, code="2", display="小学")
    assert (wrong["result"], wrong["display"]) == (False, "大学本科")
    assert refused(terms, "ValueSet/$validate-code", url="urn:nobody", code="1") == (404, "not-found")


def test_of_the_codings_of_a_concept_one_valid_is_enough(terms: Front) -> None:
    concept = {"coding": [{"system": "urn:nobody", "code": "x"}, {"system": EDUCATION, "code": "1"}]}
    url = {"name": "url", "valueUri": f"{BASE}/ValueSet/gw-edu"}
    body = {"resourceType": "Parameters", "parameter": [url, {"name": "codeableConcept", "valueCodeableConcept": concept}]}
    answer = terms.write("POST", "/fhir/ValueSet/$validate-code", body).json()
    assert answer["parameter"][0] == {"name": "result", "valueBoolean": True}


def test_expand_filters_and_pages(terms: Front) -> None:
    def expanded(**parameters: str) -> tuple[int, list[str]]:
        query = "&".join(f"{k}={quote(v)}" for k, v in parameters.items())
        answer = terms.get(f"/fhir/ValueSet/$expand?{query}").json()
        assert check(answer) == []
        return answer["expansion"]["total"], [c["code"] for c in answer["expansion"].get("contains", ())]

    assert expanded(url="urn:test:beds") == (2, ["icu", "in"])
    total, codes = expanded(url=f"{BASE}/ValueSet/gw-edu", count="2", offset="1")
    assert (total, len(codes)) == (10, 2)
    assert expanded(url=f"{BASE}/ValueSet/gw-edu", filter="本科") == (1, ["2"])
    assert expanded(url=f"{BASE}/ValueSet/gw-edu", filter="nothing") == (0, [])
    assert terms.get("/fhir/ValueSet/beds/$expand").json()["expansion"]["total"] == 2
    assert refused(terms, "ValueSet/$expand", url="urn:nobody") == (404, "not-found")
    assert refused(terms, "ValueSet/$expand", url="urn:test:beds", count="many") == (400, "value")


def test_translate_by_map_by_system_and_back(terms: Front) -> None:
    gender = f"{BASE}/ConceptMap/administrative-gender"
    assert asked(terms, "ConceptMap/$translate", url=gender, code="1") == {"match": [("equal", "male")], "result": True}
    assert asked(terms, "ConceptMap/$translate", url=gender, code="female", system=GENDER, reverse="true")["match"] == [("equal", "2")]
    assert asked(terms, "ConceptMap/$translate", url=gender, code="5")["result"] is False
    assert asked(terms, "ConceptMap/$translate", system=LOCAL, code="icu")["match"] == [("wider", "IMP")]
    assert asked(terms, "ConceptMap/classes/$translate", system=LOCAL, code="out")["match"] == [("equal", "AMB")]
    narrower = asked(terms, "ConceptMap/$translate", url="urn:test:classes", code="IMP", reverse="true")
    assert narrower["match"] == [("narrower", "icu")]
    assert asked(terms, "ConceptMap/$translate", system=LOCAL, code="icu", targetsystem="urn:elsewhere")["match"] == []
    assert refused(terms, "ConceptMap/$translate", url="urn:nobody", code="1") == (404, "not-found")
