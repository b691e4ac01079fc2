"""FHIR over HTTP: read, search by type, metadata (https://hl7.org/fhir/R4/http.html)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from gateway.store import tables
from gateway.store.reads import Reads
from tests.http.conftest import Front
from tests.village import id_card, reading


def written(front: Front, number: int, person: int, **changes: Any) -> dict[str, str]:
    """Type -> id of what a reading wrote (the last one of each type)."""
    answer = front.reading(reading(number, person, **changes))
    return {r["type"]: r["id"] for r in answer["records"][0]["resources"]}


def test_read_gives_the_current_version_with_its_etag(front: Front) -> None:
    ids = written(front, 200, 200)
    answer = front.get(f"/fhir/Patient/{ids['Patient']}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["etag"] == 'W/"1"'
    assert parsedate_to_datetime(answer.headers["last-modified"]).year >= 2026
    found = answer.json()
    assert (found["resourceType"], found["id"], found["meta"]["versionId"]) == ("Patient", ids["Patient"], "1")
    assert id_card(200) in [i["value"] for i in found["identifier"]]


def test_decimals_keep_their_digits(front: Front) -> None:
    ids = written(front, 201, 202, glucose={"value": "6.80", "timing": "1"})
    assert '"value":6.80' in front.get(f"/fhir/Observation/{ids['Observation']}").text
    assert '"value":6.80' in front.get(f"/fhir/Observation?_id={ids['Observation']}").text


def test_304_when_the_client_has_the_current_version(front: Front) -> None:
    ids = written(front, 202, 204)
    path = f"/fhir/Patient/{ids['Patient']}"
    answer = front.get(path, If_None_Match='W/"7", W/"1"')
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"1"')
    assert front.get(path, If_None_Match='W/"2"').status_code == 200


def test_a_correction_is_the_next_version(front: Front) -> None:
    first = written(front, 203, 206)
    second = written(front, 203, 206, updatedAt="2026-04-02T08:31:10+08:00", bp={"systolic": "139", "diastolic": "86"})
    assert first["Observation"] is not None
    pressure = front.get(f"/fhir/Observation?patient={first['Patient']}&_count=10").json()["entry"]
    versions = sorted(e["resource"]["meta"]["versionId"] for e in pressure)
    assert versions == ["1", "2"], "the glucose did not change, the pressure did"
    assert second["Observation"] in [e["resource"]["id"] for e in pressure]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/fhir/Patient/nobody", 404, "not-found"),
        ("/fhir/Person1/x", 404, "not-supported"),
        ("/fhir/patient/x", 404, "not-supported"),
        ("/fhir/HumanName", 404, "not-supported"),
        ("/fhir/Patient/x/_history", 404, "not-found"),
        ("/nowhere", 404, "not-found"),
        ("/", 404, "not-found"),
        ("/commands/doctor", 404, "not-found"),
        ("/fhir/Patient?_count=x", 400, "invalid"),
        ("/fhir/Patient?_count=-1", 400, "invalid"),
        ("/fhir/Patient?_cursor=abc", 400, "invalid"),
    ],
)
def test_every_fault_is_an_operation_outcome_in_the_callers_language(front: Front, path: str, status: int, code: str) -> None:
    answer = front.get(path)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    OperationOutcome.model_validate_json(answer.content)
    text = answer.json()["issue"][0]["details"]["text"]
    assert not text.isascii(), "Chinese unless asked otherwise"
    english = front.get(path, Accept_Language="en").json()["issue"][0]["details"]["text"]
    assert english.replace("·", "").isascii()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/health", "GET"),
        ("POST", "/fhir/Patient/x", "DELETE, GET, HEAD, PATCH, PUT"),
        ("PUT", "/fhir/Patient/x/_history", "GET, HEAD"),
        ("DELETE", "/fhir/metadata", "GET, HEAD"),
        ("PUT", "/fhir/Patient/_search", "GET, HEAD, POST"),
        ("GET", "/ingest/village-posts", "POST"),
    ],
)
def test_405_names_what_is_allowed(front: Front, method: str, path: str, allowed: str) -> None:
    answer = front.call(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["issue"][0]["code"] == "not-supported"


def test_410_of_a_deleted_resource(front: Front) -> None:
    r = tables.resource.c
    values = {"rid": 9_000_001, "type": "Basic", "id": "gone", "version": 3, "seq": 1, "time": 1_770_000_000_000_000, "deleted": True}
    with front.site.database.engine.begin() as connection:
        connection.execute(insert(tables.resource).values(values | {"custodian": "", "content": b""}))
        assert connection.scalar(select(r.deleted).where(r.id == "gone"))
    answer = front.get("/fhir/Basic/gone")
    assert (answer.status_code, answer.headers["etag"], answer.json()["issue"][0]["code"]) == (410, 'W/"3"', "deleted")
    assert front.get("/fhir/Basic?_id=gone").json()["total"] == 0


def test_search_by_identifier_with_and_without_system(front: Front) -> None:
    ids = written(front, 204, 208)
    number = id_card(208)
    for text in (number, f"urn:oid:2.16.156.10011.1.3|{number}"):
        found = front.get(f"/fhir/Patient?identifier={text}")
        Bundle.model_validate_json(found.content)
        assert [e["resource"]["id"] for e in found.json()["entry"]] == [ids["Patient"]]
        assert found.json()["entry"][0]["fullUrl"] == f"http://127.0.0.1:8765/fhir/Patient/{ids['Patient']}"
        assert found.json()["entry"][0]["search"] == {"mode": "match"}
    assert front.get(f"/fhir/Patient?identifier=urn:other|{number}").json()["total"] == 0


def test_pages_of_a_patients_observations_meet_every_one_once(front: Front) -> None:
    patient = written(front, 205, 210)["Patient"]
    for n in range(206, 209):
        written(front, n, 210)
    url: str | None = f"/fhir/Observation?patient=Patient/{patient}&_count=3"
    seen: list[str] = []
    pages = 0
    while url is not None:
        page = front.get(url)
        Bundle.model_validate_json(page.content)
        links = {link["relation"]: link["url"] for link in page.json()["link"]}
        assert "_cursor" not in links["self"]
        assert len(page.json().get("entry", [])) <= 3
        seen += [e["resource"]["id"] for e in page.json().get("entry", [])]
        url, pages = links.get("next"), pages + 1
    assert (len(seen), len(set(seen)), pages) == (8, 8, 3)


def test_an_unknown_parameter_is_left_out_of_self_and_is_an_error_when_strict(front: Front) -> None:
    lenient = front.get("/fhir/Patient?_id=x&colour=red")
    assert lenient.status_code == 200
    assert lenient.json()["link"][0]["url"].endswith("/fhir/Patient?_id=x")
    strict = front.get("/fhir/Patient?_id=x&colour=red", Prefer="handling=strict")
    assert strict.status_code == 400
    assert "colour" in strict.text


def test_503_when_the_store_is_away_and_nothing_of_the_statement_is_told(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("SELECT secret_statement", {"id": "secret-parameter"}, Exception("connection refused"))

    monkeypatch.setattr(front.site.database.engine, "connect", away)
    monkeypatch.setattr(Reads, "current", lambda *_: away())
    for path in ("/fhir/Patient/x", "/fhir/Patient?_id=x"):
        answer = front.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["issue"][0]["code"] == "transient"
        assert "secret" not in answer.text


def test_500_tells_nothing_of_a_bug(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug() -> None:
        raise RuntimeError("欧阳禾 390121195803140267")

    monkeypatch.setattr(Reads, "current", lambda *_: bug())
    answer = front.get("/fhir/Patient/x")
    assert answer.status_code == 500
    assert answer.json()["issue"][0]["code"] == "exception"
    assert not [word for word in ("欧阳", "3901", "RuntimeError", "Traceback", ".py") if word in answer.text]
