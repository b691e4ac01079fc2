"""References below this server's own addresses (https://hl7.org/fhir/R4/references.html#literal, search.html#reference), on both engines."""

from __future__ import annotations

import pytest

from tests.http.conftest import ENGINES, POSTGRES, Front, Opened
from tests.http.test_searching import ids
from tests.http.test_writes import observation
from tests.records.county import fresh_schema

FORWARDED = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "fhir.county.example", "X_Forwarded_Prefix": "/yifang"}


@pytest.fixture(scope="module", params=ENGINES)
def ward(request: pytest.FixtureRequest, opened: Opened) -> Front:
    """A site that tells receivers of notifications an address of its own, with one Patient."""
    store = {}
    if request.param != "sqlite":
        fresh_schema(POSTGRES)
        store = {"store": {"database": POSTGRES}}
    api = opened(notify={"address": "https://notify.county.example/fhir/"}, **store)
    api.write("PUT", "/fhir/Patient/s1", {"resourceType": "Patient", "id": "s1", "name": [{"text": "欧阳松"}], "birthDate": "1950-01-01"})
    return api


@pytest.mark.parametrize(
    ("own", "here", "headers"),
    [
        ("direct", "http://127.0.0.1:8765/fhir", {}),
        ("proxy", "https://fhir.county.example/yifang/fhir", FORWARDED),
        ("notified", "https://notify.county.example/fhir", {}),
        ("canonical", "https://yifang.invalid/fhir", {}),
    ],
)
def test_a_reference_by_a_url_here_is_the_relative_one(ward: Front, own: str, here: str, headers: dict[str, str]) -> None:
    """https://hl7.org/fhir/R4/search.html#reference: found by both forms, by whoever asks, in the compartment, and as what it includes."""
    body = observation("s1", 9) | {"id": own, "subject": {"reference": f"{here}/Patient/s1/_history/1"}, "identifier": [{"value": own}]}
    assert ward.write("PUT", f"/fhir/Observation/{own}", body, **headers).status_code == 201
    assert ward.get(f"/fhir/Observation/{own}").json()["subject"] == {"reference": "Patient/s1/_history/1"}
    for value in ("Patient/s1", "s1", f"{here}/Patient/s1"):
        for parameter in ("subject", "patient"):
            assert ids(ward.get(f"/fhir/Observation?identifier={own}&{parameter}={value}", **headers)) == [own], (parameter, value)
    assert own in ids(ward.get("/fhir/Patient/s1/Observation"))
    assert own in ids(ward.get("/fhir/Patient/s1/$everything"))
    assert ids(ward.get(f"/fhir/Observation?_id={own}&_include=Observation:subject"), "include") == ["s1"]
    assert ids(ward.get(f"/fhir/Observation?identifier={own}&subject:Patient.birthdate=1950-01-01")) == [own]


def test_a_url_here_is_taken_in_bundles_patches_and_criteria(ward: Front) -> None:
    here = "http://127.0.0.1:8765/fhir"
    patient = {"resourceType": "Patient", "id": "tmp", "name": [{"text": "欧阳柏"}]}
    told = observation("s1", 9) | {"subject": {"reference": f"{here}/Patient/s1"}, "performer": [{"reference": f"{here}/Patient/tmp"}]}
    for criteria in ("", "identifier=urn:bundle|1"):  # with a condition the placeholders are settled by the writer
        request = {"method": "POST", "url": "Observation"} | ({"ifNoneExist": criteria} if criteria else {})
        entries = [{"fullUrl": f"{here}/Patient/tmp", "resource": patient, "request": {"method": "POST", "url": "Patient"}},
                   {"resource": told, "request": request}]  # fmt: skip
        made = ward.write("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).json()
        new, place = (e["response"]["location"].partition("/_history")[0] for e in made["entry"])
        stored = ward.get(f"/fhir/{place}").json()
        assert (stored["subject"]["reference"], stored["performer"][0]["reference"]) == ("Patient/s1", new)
    operations = [{"op": "replace", "path": "/subject/reference", "value": f"{here}/Patient/s2"}]
    patched = ward.write("PATCH", f"/fhir/{place}", operations, Content_Type="application/json-patch+json")
    assert (patched.status_code, patched.json()["subject"]["reference"]) == (200, "Patient/s2")
    known = ward.write("POST", "/fhir/Observation", told, If_None_Exist=f"subject={here}/Patient/s2")
    assert (known.status_code, known.json()["id"]) == (200, place.partition("/")[2])


def test_a_url_elsewhere_stays_and_is_not_taken_for_ours(ward: Front) -> None:
    body = observation("s1", 9) | {"id": "abs-other", "subject": {"reference": "http://127.0.0.1:8765/other/fhir/Patient/s1"}}
    assert ward.write("PUT", "/fhir/Observation/abs-other", body).json()["subject"] == body["subject"]
    assert "abs-other" not in ids(ward.get("/fhir/Observation?patient=s1"))
    assert ids(ward.get("/fhir/Observation?subject=http://127.0.0.1:8765/other/fhir/Patient/s1")) == ["abs-other"]
