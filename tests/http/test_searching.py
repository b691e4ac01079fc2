"""Search over HTTP: by POST, of a compartment, of all types, includes, `_summary` and `_elements` (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from tests.http.conftest import Front
from tests.http.test_writes import basic, observation

FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def ward(api: Front) -> Front:
    """One Patient with two Observations, and a Basic."""
    api.write("PUT", "/fhir/Patient/s1", {"resourceType": "Patient", "id": "s1", "name": [{"text": "欧阳松"}], "birthDate": "1950-01-01"})
    for n in (1, 2):
        api.write("PUT", f"/fhir/Observation/so{n}", observation("s1", 5 + n) | {"id": f"so{n}", "effectiveDateTime": f"2026-01-0{n}"})
    api.write("PUT", "/fhir/Basic/sb", basic(id="sb", identifier=[{"system": "urn:s", "value": "b"}]))
    return api


def ids(answer: Any, mode: str = "match") -> list[str]:
    """Ids of the entries, in order."""
    Bundle.model_validate_json(answer.content)
    assert answer.status_code == 200
    return [e["resource"]["id"] for e in answer.json().get("entry", []) if e["search"]["mode"] == mode]


def test_search_by_post_takes_the_form_and_the_url(ward: Front) -> None:
    answer = ward.call("POST", "/fhir/Observation/_search?patient=s1", b"date=2026-01-02&code=2339-0", **FORM)
    assert ids(answer) == ["so2"]
    link = answer.json()["link"][0]["url"]
    assert link.startswith("http://127.0.0.1:8765/fhir/Observation?")
    assert {"patient=s1", "date=2026-01-02", "code=2339-0"} == set(link.partition("?")[2].split("&"))
    assert ids(ward.call("POST", "/fhir/Observation/_search?patient=s1")) == ["so2", "so1"]
    assert ward.call("POST", "/fhir/Observation/_search", b"{}", Content_Type="application/json").status_code == 415


def test_a_resource_may_be_named_by_the_url_it_is_read_from(ward: Front) -> None:
    here = "http://127.0.0.1:8765/fhir"
    for parameter in ("subject", "patient"):
        assert ids(ward.get(f"/fhir/Observation?{parameter}={here}/Patient/s1")) == ["so2", "so1"]
        assert ids(ward.get(f"/fhir/Observation?{parameter}=Patient/nobody,{here}/Patient/s1")) == ["so2", "so1"]
        assert ids(ward.get(f"/fhir/Observation?{parameter}={here}/Patient/nobody")) == []


def test_compartments(ward: Front) -> None:
    assert ids(ward.get("/fhir/Patient/s1/Observation?date=2026-01-01")) == ["so1"]
    assert set(ids(ward.get("/fhir/Patient/s1/*"))) >= {"so1", "so2"}
    assert ids(ward.get("/fhir/Patient/nobody/Observation")) == []
    assert ids(ward.call("POST", "/fhir/Patient/s1/Observation/_search", b"date=2026-01-02", **FORM)) == ["so2"]
    assert ward.get("/fhir/Basic/sb/Observation").status_code == 404
    assert ward.get("/fhir/Patient/s1/Binary").status_code == 404


def test_search_of_all_types(ward: Front) -> None:
    assert set(ids(ward.get("/fhir?_type=Observation,Basic&_count=50"))) >= {"so1", "so2", "sb"}
    assert ids(ward.get("/fhir/?_type=Basic&identifier=urn:s|b")) == ["sb"]
    assert ids(ward.call("POST", "/fhir/_search", b"_type=Basic&identifier=urn:s|b", **FORM)) == ["sb"]
    assert ward.get("/fhir?_type=Nothing").status_code == 400


def test_includes_are_told_apart(ward: Front) -> None:
    answer = ward.get("/fhir/Observation?_id=so1&_include=Observation:subject")
    assert (ids(answer), ids(answer, "include")) == (["so1"], ["s1"])
    answer = ward.get("/fhir/Patient?_id=s1&_revinclude=Observation:subject")
    assert (ids(answer), set(ids(answer, "include"))) == (["s1"], {"so1", "so2"})


def test_summary_and_elements(ward: Front) -> None:
    counted = ward.get("/fhir/Observation?patient=s1&_summary=count").json()
    assert (counted["total"], "entry" in counted) == (2, False)
    (thin,) = ward.get("/fhir/Observation?_id=so1&_elements=status").json()["entry"]
    assert set(thin["resource"]) == {"resourceType", "id", "meta", "status", "code"}
    assert thin["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    whole = ward.get("/fhir/Patient/s1").json()
    assert ward.get("/fhir/Patient/s1?_summary=true").json()["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert ward.get("/fhir/Patient/s1?_summary=false").json() == whole
    assert set(ward.get("/fhir/Patient/s1?_elements=birthDate").json()) == {"resourceType", "id", "meta", "birthDate"}
    assert ward.get("/fhir/Patient/s1?_summary=most").status_code == 400
    page = ward.get("/fhir/Observation?patient=s1&_count=1&_elements=status").json()
    following = {link["relation"]: link["url"] for link in page["link"]}["next"]
    assert "_elements=status" in following
    assert ward.get(following).json()["entry"][0]["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_pretty_and_head(ward: Front) -> None:
    assert ward.get("/fhir/Basic/sb?_pretty=true").text.startswith('{\n  "resourceType"')
    assert ward.get("/fhir/Basic/sb?_pretty=true&_format=xml").text.count("\n") > 4
    head = ward.call("HEAD", "/fhir/Observation?patient=s1")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(ward.get("/fhir/Observation?patient=s1").content)
