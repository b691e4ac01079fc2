"""$everything, $lastn, $meta, $meta-add, $meta-delete over HTTP (https://hl7.org/fhir/R4/operations.html)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import Front
from tests.http.test_searching import ids
from tests.http.test_writes import basic, observation


@pytest.fixture(scope="module")
def ward(api: Front) -> Front:
    """Two Patients, one with Observations of two kinds, a visit and a doctor."""
    for p in ("e1", "e2"):
        api.write("PUT", f"/fhir/Patient/{p}", {"resourceType": "Patient", "id": p, "name": [{"text": f"欧阳{p}"}]})
    api.write("PUT", "/fhir/Practitioner/d1", {"resourceType": "Practitioner", "id": "d1"})
    visit = {"resourceType": "Encounter", "id": "v1", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "Patient/e1"}}
    api.write("PUT", "/fhir/Encounter/v1", visit)
    for n in range(1, 7):
        made = observation("e1" if n < 6 else "e2", n) | {
            "id": f"eo{n}",
            "effectiveDateTime": f"2026-01-0{n}",
            "performer": [{"reference": "Practitioner/d1"}],
        }
        if n in (2, 4):
            made["code"] = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
        if n == 5:
            made["encounter"] = {"reference": "Encounter/v1"}
        assert api.write("PUT", f"/fhir/Observation/eo{n}", made).status_code == 201
    return api


def every(front: Front, path: str) -> list[str]:
    """Ids of all matches of all pages, in order."""
    seen: list[str] = []
    url = path
    while url:
        page = front.get(url)
        seen += ids(page)
        url = {link["relation"]: link["url"] for link in page.json()["link"]}.get("next", "")
    return seen


def test_everything_of_a_patient(ward: Front) -> None:
    answer = ward.get("/fhir/Patient/e1/$everything")
    assert ids(answer)[0] == "e1"
    assert sorted(ids(answer)[1:]) == ["eo1", "eo2", "eo3", "eo4", "eo5", "v1"]
    assert ids(answer, "include") == ["d1"]
    paged = every(ward, "/fhir/Patient/e1/$everything?_count=2")
    assert (paged[0], sorted(paged[1:]), len(paged)) == ("e1", ["eo1", "eo2", "eo3", "eo4", "eo5", "v1"], 7)


def test_everything_narrowed_by_type_time_and_since(ward: Front) -> None:
    assert sorted(ids(ward.get("/fhir/Patient/e1/$everything?_type=Observation"))) == ["eo1", "eo2", "eo3", "eo4", "eo5"]
    assert set(ids(ward.get("/fhir/Patient/e1/$everything?start=2026-01-02&end=2026-01-03"))) == {"e1", "v1", "eo2", "eo3"}
    assert ids(ward.get("/fhir/Patient/e1/$everything?_since=2100-01-01T00:00:00Z")) == ["e1"]
    assert ward.get("/fhir/Patient/e1/$everything?start=soon").status_code == 400
    by_post = ward.write(
        "POST", "/fhir/Patient/e1/$everything", {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Encounter"}]}
    )
    assert ids(by_post) == ["v1"]


def test_everything_of_all_patients_comes_patient_by_patient(ward: Front) -> None:
    alone = {p: every(ward, f"/fhir/Patient/{p}/$everything") for p in ("e1", "e2")}
    for count in ("", "?_count=1", "?_count=2", "?_count=3", "?_count=500"):
        seen = every(ward, f"/fhir/Patient/$everything{count}")
        ours = [i for i in seen if i in {*alone["e1"], *alone["e2"]}]
        assert sorted(ours) == sorted(alone["e1"] + alone["e2"]), count
        assert {tuple(ours[: len(alone[p])]) for p in alone} & {tuple(alone[p]) for p in alone}, count
    page = ward.get("/fhir/Patient/$everything?_count=500")
    assert "d1" in ids(page, "include")
    assert set(every(ward, "/fhir/Patient/$everything?_type=Encounter")) == {"v1"}
    assert every(ward, "/fhir/Patient/$everything?_since=2100-01-01T00:00:00Z") == []
    for wrong in ("?start=soon", "?_since=soon", "?_count=x", "?_cursor=x", "?_cursor=x.y"):
        assert ward.get(f"/fhir/Patient/$everything{wrong}").status_code == 400, wrong
    assert ward.get("/fhir/Encounter/$everything").status_code == 404


def test_everything_of_an_encounter(ward: Front) -> None:
    answer = ward.get("/fhir/Encounter/v1/$everything")
    assert ids(answer) == ["v1", "eo5"]
    assert set(ids(answer, "include")) == {"e1", "d1"}


def test_everything_of_nobody(ward: Front) -> None:
    assert ward.get("/fhir/Patient/nobody/$everything").status_code == 404
    assert ward.get("/fhir/Observation/eo1/$everything").status_code == 404
    assert ward.call("DELETE", "/fhir/Patient/e1/$everything").status_code == 405


def test_lastn(ward: Front) -> None:
    assert ids(ward.get("/fhir/Observation/$lastn?patient=e1")) == ["eo5", "eo4"]
    assert ids(ward.get("/fhir/Observation/$lastn?subject=Patient/e1&max=2")) == ["eo5", "eo3", "eo4", "eo2"]
    assert ids(ward.get("/fhir/Observation/$lastn?patient=e1&code=8867-4&max=9")) == ["eo4", "eo2"]
    for wrong in ("", "?code=8867-4", "?patient=e1&max=0", "?patient=e1&max=x", "?patient=e1&colour=red"):
        assert ward.get(f"/fhir/Observation/$lastn{wrong}").status_code == 400, wrong


def given(**meta: Any) -> dict[str, Any]:
    """Parameters with a meta."""
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}


def test_meta_add_and_delete(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/meta", basic(id="meta", meta={"tag": [{"system": "urn:t", "code": "a"}]}))
    tag, label = {"system": "urn:t", "code": "b"}, {"system": "urn:l", "code": "R"}
    added = api.write("POST", "/fhir/Basic/meta/$meta-add", given(tag=[tag, {"system": "urn:t", "code": "a"}], security=[label]))
    value = added.json()["parameter"][0]["valueMeta"]
    assert ([t["code"] for t in value["tag"]], value["security"], value["versionId"]) == (["a", "b"], [label], "2")
    assert api.get("/fhir/Basic?_tag=urn:t|b&_id=meta").json()["total"] == 1
    assert api.get("/fhir/Basic/meta/$meta").json()["parameter"][0]["valueMeta"] == value
    removed = api.write("POST", "/fhir/Basic/meta/$meta-delete", given(tag=[tag], security=[label, {"code": "never"}]))
    left = removed.json()["parameter"][0]["valueMeta"]
    assert (left["tag"], "security" in left, left["versionId"]) == ([{"system": "urn:t", "code": "a"}], False, "3")
    assert api.write("POST", "/fhir/Basic/meta/$meta-add", {"resourceType": "Parameters"}).status_code == 400
    assert api.get("/fhir/Basic/meta/$meta-add").status_code == 405
    assert api.get("/fhir/Basic/nothing/$meta").status_code == 404


def summed(front: Front, path: str) -> dict[str, list[Any]]:
    """The meta that an address sums up: codes of tags and labels, profiles; of our own systems."""
    (parameter,) = front.get(path).json()["parameter"]
    value = parameter["valueMeta"]
    told = {kind: [c["code"] for c in value.get(kind, ()) if c["system"].startswith("urn:sum")] for kind in ("tag", "security")}
    return told | {"profile": [p for p in value.get("profile", ()) if p.startswith("urn:sum")]}


def test_meta_of_a_type_and_of_everything_is_what_is_in_use(api: Front) -> None:
    tag, other, label = ({"system": f"urn:sum:{s}", "code": c, "display": "甲"} for s, c in (("t", "a,|b"), ("t", "c"), ("l", "R")))
    api.write("PUT", "/fhir/Basic/sum1", basic(id="sum1", meta={"tag": [tag], "security": [label]}))
    api.write("PUT", "/fhir/Basic/sum2", basic(id="sum2", meta={"tag": [tag, other], "profile": ["urn:sum:p|1"]}))
    api.write("PUT", "/fhir/Device/sum3", {"resourceType": "Device", "id": "sum3", "meta": {"tag": [other]}})
    everything = {"tag": ["a,|b", "c"], "security": ["R"], "profile": ["urn:sum:p|1"]}
    assert summed(api, "/fhir/Basic/$meta") == summed(api, "/fhir/$meta") == everything
    assert summed(api, "/fhir/Device/$meta") == {"tag": ["c"], "security": [], "profile": []}
    assert tag in api.get("/fhir/Basic/$meta").json()["parameter"][0]["valueMeta"]["tag"]
    api.call("DELETE", "/fhir/Basic/sum2")  # the last one seen with the tag; another still carries it
    assert summed(api, "/fhir/Basic/$meta") == {"tag": ["a,|b"], "security": ["R"], "profile": []}
    assert summed(api, "/fhir/$meta") == {"tag": ["a,|b", "c"], "security": ["R"], "profile": []}
    api.write("PUT", "/fhir/Basic/sum1", basic(id="sum1", meta={"security": [label]}))  # a tag stays unless it is taken away
    api.write("POST", "/fhir/Basic/sum1/$meta-delete", given(tag=[tag]))
    assert summed(api, "/fhir/Basic/$meta")["tag"] == []
    api.write("PUT", "/fhir/Basic/sum4", basic(id="sum4", meta={"tag": [tag]}))
    assert summed(api, "/fhir/Basic/$meta")["tag"] == ["a,|b"]
    assert api.get("/fhir/Slot/$meta").json() == {"resourceType": "Parameters"}
