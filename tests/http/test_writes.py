"""create, update, delete, vread and history over HTTP (https://hl7.org/fhir/R4/http.html), on both engines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome
from sqlalchemy import text

from tests.http.conftest import MAX_BODY, Front
from tests.village import id_card, reading

LOINC = {"coding": [{"system": "http://loinc.org", "code": "2339-0"}]}


def basic(**more: Any) -> dict[str, Any]:
    """A resource that nothing else needs."""
    return {"resourceType": "Basic", "code": {"text": "备注"}, **more}


def observation(patient: str = "", value: float = 5.6) -> dict[str, Any]:
    """A glucose reading."""
    subject = {"subject": {"reference": f"Patient/{patient}"}} if patient else {}
    return {"resourceType": "Observation", "status": "final", "code": LOINC, **subject, "valueQuantity": {"value": value, "unit": "mmol/L"}}


def rows(front: Front, query: str, **values: Any) -> list[Any]:
    """Rows straight from the database."""
    with front.site.database.engine.connect() as connection:
        return [tuple(r) for r in connection.execute(text(query), values)]


def test_create_answers_201_with_location_etag_and_the_resource(api: Front) -> None:
    answer = api.write(
        "POST", "/fhir/Basic", basic(id="mine", meta={"versionId": "7", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "x"}]})
    )
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://127.0.0.1:8765/fhir/Basic/{made['id']}/_history/1"
    assert (answer.headers["etag"], made["meta"]["versionId"]) == ('W/"1"', "1")
    assert made["id"] != "mine", "the server allots the id of a create"
    assert made["meta"]["lastUpdated"] > "2026"
    assert made["meta"]["tag"] == [{"code": "x"}]
    assert api.get(f"/fhir/Basic/{made['id']}").content == answer.content


def test_update_makes_versions_and_an_unchanged_one_makes_none(api: Front) -> None:
    first = api.write("PUT", "/fhir/Basic/u1", basic(id="u1"))
    assert (first.status_code, first.headers["etag"]) == (201, 'W/"1"')
    assert first.headers["location"].endswith("/fhir/Basic/u1/_history/1")
    again = api.write("PUT", "/fhir/Basic/u1", basic(id="u1"))
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')
    second = api.write("PUT", "/fhir/Basic/u1", basic(id="u1", created="2026-01-02"))
    assert (second.status_code, second.headers["etag"]) == (200, 'W/"2"')
    assert api.get("/fhir/Basic/u1/_history/1").json() == first.json()
    assert api.get("/fhir/Basic/u1/_history/2").json() == second.json()
    assert api.get("/fhir/Basic/u1/_history/3").status_code == 404


def test_a_client_may_choose_a_number_as_id(api: Front) -> None:
    assert api.write("PUT", "/fhir/Basic/42", basic(id="42")).status_code == 201
    assert api.get("/fhir/Basic/42").json()["id"] == "42"


def test_if_match_guards_against_lost_updates(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/m1", basic(id="m1"))
    assert api.write("PUT", "/fhir/Basic/m1", basic(id="m1", created="2026-01-01"), If_Match='W/"1"').status_code == 200
    lost = api.write("PUT", "/fhir/Basic/m1", basic(id="m1", created="2026-01-03"), If_Match='W/"1"')
    assert (lost.status_code, lost.json()["issue"][0]["code"], lost.headers["etag"]) == (412, "conflict", 'W/"2"')
    assert api.call("DELETE", "/fhir/Basic/m1", If_Match='W/"1"').status_code == 412
    assert api.write("PUT", "/fhir/Basic/never", basic(id="never"), If_Match='W/"1"').status_code == 412
    assert api.write("PUT", "/fhir/Basic/m1", basic(id="m1"), If_None_Match="*").status_code == 412
    assert api.get("/fhir/Basic/m1").headers["etag"] == 'W/"2"'


def test_sixteen_updates_with_one_etag_leave_one_winner(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/race", basic(id="race"))
    requests = [
        ("PUT", "/fhir/Basic/race", msgspec.json.encode(basic(id="race", created=f"2026-02-{n:02d}")),
         {"Content_Type": "application/fhir+json", "If_Match": 'W/"1"'})
        for n in range(1, 17)
    ]  # fmt: skip
    statuses = sorted(a.status_code for a in api.together(requests))
    assert statuses == [200] + [412] * 15
    assert api.get("/fhir/Basic/race").headers["etag"] == 'W/"2"'


def test_delete_then_410_then_alive_again(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/d1", basic(id="d1"))
    gone = api.call("DELETE", "/fhir/Basic/d1")
    assert (gone.status_code, gone.content, gone.headers["etag"]) == (204, b"", 'W/"2"')
    assert api.call("DELETE", "/fhir/Basic/d1").status_code == 204
    assert api.call("DELETE", "/fhir/Basic/never-was").status_code == 204
    assert (api.get("/fhir/Basic/d1").status_code, api.get("/fhir/Basic/d1/_history/2").status_code) == (410, 410)
    assert api.get("/fhir/Basic/d1/_history/1").status_code == 200
    assert api.get("/fhir/Basic?_id=d1").json()["total"] == 0
    back = api.write("PUT", "/fhir/Basic/d1", basic(id="d1"))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    history = api.get("/fhir/Basic/d1/_history").json()
    assert [(e["request"]["method"], e["response"]["status"]) for e in history["entry"]] == [
        ("PUT", "200 OK"), ("DELETE", "204 No Content"), ("PUT", "201 Created"),
    ]  # fmt: skip
    assert "resource" not in history["entry"][1]


def test_history_of_a_resource_by_pages_since_and_at(api: Front) -> None:
    for n in range(1, 6):
        api.write("PUT", "/fhir/Basic/h1", basic(id="h1", created=f"2026-03-{n:02d}"))
    whole = api.get("/fhir/Basic/h1/_history").json()
    Bundle.model_validate(whole)
    assert (whole["type"], whole["total"]) == ("history", 5)
    versions = [e["resource"]["meta"]["versionId"] for e in whole["entry"]]
    assert versions == ["5", "4", "3", "2", "1"]
    moments = [e["resource"]["meta"]["lastUpdated"] for e in whole["entry"]]
    url, seen = "/fhir/Basic/h1/_history?_count=2", []
    while url:
        page = api.get(url).json()
        seen += [e["resource"]["meta"]["versionId"] for e in page["entry"]]
        url = {link["relation"]: link["url"] for link in page["link"]}.get("next", "")
    assert seen == versions
    since = api.get(
        "/fhir/Basic/h1/_history",
    ).json()
    assert since == whole | {"link": since["link"]}
    late = api.call("GET", "/fhir/Basic/h1/_history?_since=" + moments[1].replace("+", "%2B")).json()
    assert {"5", "4"} <= {e["resource"]["meta"]["versionId"] for e in late["entry"]}
    at = api.get("/fhir/Basic/h1/_history?_at=" + moments[0]).json()
    assert "5" in [e["resource"]["meta"]["versionId"] for e in at["entry"]]
    assert "entry" not in api.get("/fhir/Basic/h1/_history?_at=2001").json()
    assert api.get("/fhir/Basic/h1/_history?_since=yesterday").status_code == 400
    assert api.get("/fhir/Basic/h1/_history?_count=x").status_code == 400


def test_history_of_a_type_and_of_everything(api: Front) -> None:
    api.write("PUT", "/fhir/Linkage/l1", {"resourceType": "Linkage", "id": "l1", "item": [{"type": "source", "resource": {"display": "甲"}}]})
    api.write("PUT", "/fhir/Linkage/l1", {"resourceType": "Linkage", "id": "l1", "item": [{"type": "source", "resource": {"display": "乙"}}]})
    api.call("DELETE", "/fhir/Linkage/l1")
    mine = api.get("/fhir/Linkage/_history").json()["entry"]
    assert [(e["request"]["method"], e["response"]["etag"]) for e in mine] == [("DELETE", 'W/"3"'), ("PUT", 'W/"2"'), ("PUT", 'W/"1"')]
    everything: list[tuple[str, str]] = []
    url = "/fhir/_history?_count=7"
    while url:
        page = api.get(url).json()
        everything += [(e["fullUrl"], e["response"]["etag"]) for e in page["entry"]]
        url = {link["relation"]: link["url"] for link in page["link"]}.get("next", "")
    assert len(everything) == len(set(everything))
    assert len(everything) == rows(api, "SELECT (SELECT count(*) FROM resource) + (SELECT count(*) FROM resource_history)")[0][0]
    assert everything[0][0].endswith("Linkage/l1")


def test_a_write_is_kept_as_message_event_and_index_like_everything_that_arrives(api: Front) -> None:
    patient = api.write("POST", "/fhir/Patient", {"resourceType": "Patient", "name": [{"text": "欧阳竹"}]}).json()["id"]
    answer = api.write("POST", "/fhir/Observation", observation(patient))
    id_ = answer.json()["id"]
    found = api.get(f"/fhir/Observation?patient={patient}").json()
    assert [e["resource"]["id"] for e in found["entry"]] == [id_]
    (row,) = rows(
        api,
        "SELECT e.kind, e.source, e.actor, m.name, m.media_type, m.size FROM event e JOIN message m ON m.id = e.message WHERE e.resources LIKE :like",
        like=f'%"{id_}"%',
    )
    assert row[:5] == ("api-create", "api:demo", "demo", "POST Observation", "application/fhir+json")
    assert row[5] > 100
    (resident,) = rows(api, "SELECT p.id FROM resource o JOIN resource p ON p.rid = o.resident WHERE o.id = :id", id=id_)
    assert resident == (patient,)


def test_decimals_and_the_order_of_elements_stay(api: Front) -> None:
    body = b'{"resourceType":"Observation","valueQuantity":{"value":5.60,"unit":"mmol/L"},"status":"final","code":{"text":"x"},"_status":{"id":"s"}}'
    made = api.call("POST", "/fhir/Observation", body, Content_Type="application/fhir+json")
    assert made.status_code == 201
    read = api.get(f"/fhir/Observation/{made.json()['id']}").content
    assert read[read.index(b'"valueQuantity"') :] == body[body.index(b'"valueQuantity"') :]


def test_xml_in_and_out(api: Front) -> None:
    body = '<Basic xmlns="http://hl7.org/fhir"><id value="x1"/><code><text value="随访"/></code></Basic>'.encode()
    made = api.call("PUT", "/fhir/Basic/x1", body, Content_Type="application/fhir+xml", Accept="application/fhir+xml")
    assert made.status_code == 201
    assert made.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert '<text value="随访"/>' in made.text
    assert api.get("/fhir/Basic/x1").json()["code"] == {"text": "随访"}
    for path, accept in (
        ("/fhir/Basic/x1?_format=xml", "application/fhir+json"),
        ("/fhir/Basic/x1", "application/xml;q=0.9, application/json;q=0.2"),
    ):
        assert api.get(path, Accept=accept).text.startswith("<?xml"), path
    assert api.get("/fhir/Basic/x1?_format=json", Accept="application/fhir+xml").json()["id"] == "x1"
    assert api.get("/fhir/Basic/none?_format=xml").text.startswith('<?xml version="1.0" encoding="UTF-8"?><OperationOutcome')


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status", "code"),
    [
        ("POST", "/fhir/Basic", b"{", {}, 400, "structure"),
        ("POST", "/fhir/Basic", b"", {}, 400, "required"),
        ("POST", "/fhir/Basic", b"[]", {}, 400, "structure"),
        ("POST", "/fhir/Basic", b'{"resourceType":"Patient"}', {}, 400, "invalid"),
        ("POST", "/fhir/Basic", b"<a/>", {"Content_Type": "application/fhir+xml"}, 400, "structure"),
        ("POST", "/fhir/Basic", b"a=b", {"Content_Type": "application/x-www-form-urlencoded"}, 415, "not-supported"),
        ("POST", "/fhir/Basic", b"{}", {"Content_Type": "application/pdf"}, 415, "not-supported"),
        ("PUT", "/fhir/Basic/a", b'{"resourceType":"Basic","code":{"text":"x"}}', {}, 400, "invalid"),
        ("PUT", "/fhir/Basic/a", b'{"resourceType":"Basic","id":"b","code":{"text":"x"}}', {}, 400, "invalid"),
        ("PUT", "/fhir/Basic/a_b", b'{"resourceType":"Basic","id":"a_b"}', {}, 404, "not-found"),
        ("PUT", "/fhir/Basic/a", b'{"resourceType":"Basic","id":"a","code":{"text":"x"}}', {"If_Match": "%%"}, 400, "value"),
        ("PUT", "/fhir/Basic/a", b'{"resourceType":"Basic","id":"a"}', {}, 422, "required"),
        ("POST", "/fhir/Observation", b'{"resourceType":"Observation","status":"done","code":{"text":"x"}}', {}, 422, "code-invalid"),
        ("POST", "/fhir/Nothing", b"{}", {}, 404, "not-supported"),
        ("POST", "/fhir/Basic", b'{"resourceType":"Basic"}', {"Accept": "text/html"}, 406, "not-supported"),
        ("GET", "/fhir/Basic?_format=html", b"", {}, 406, "not-supported"),
        ("POST", "/fhir/Basic", b" " * (MAX_BODY + 1), {}, 413, "too-long"),
    ],
)
def test_what_is_refused(api: Front, method: str, path: str, content: bytes, headers: dict[str, str], status: int, code: str) -> None:
    before = rows(api, "SELECT count(*) FROM event")
    answer = api.call(method, path, content, **{"Content_Type": "application/fhir+json", **headers})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)
    OperationOutcome.model_validate_json(answer.content)
    assert not answer.json()["issue"][0]["details"]["text"].isascii()
    assert rows(api, "SELECT count(*) FROM event") == before


def test_prefer_return_chooses_the_body(api: Front) -> None:
    assert api.write("POST", "/fhir/Basic", basic(), Prefer="return=minimal").content == b""
    assert api.write("POST", "/fhir/Basic", basic(), Prefer="return=representation").json()["resourceType"] == "Basic"
    told = api.write("POST", "/fhir/Basic", basic(), Prefer="return=OperationOutcome")
    assert (told.status_code, told.json()["resourceType"]) == (201, "OperationOutcome")
    assert "location" in told.headers


def test_head_and_304_by_date(api: Front) -> None:
    made = api.write("PUT", "/fhir/Basic/e1", basic(id="e1"))
    head = api.call("HEAD", "/fhir/Basic/e1")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", 'W/"1"')
    assert int(head.headers["content-length"]) == len(made.content)
    assert api.get("/fhir/Basic/e1", If_Modified_Since=head.headers["last-modified"]).status_code == 304
    assert api.get("/fhir/Basic/e1", If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT").status_code == 200
    assert api.get("/fhir/Basic/e1", If_Modified_Since="gestern").status_code == 200


def test_binary_in_its_own_type(api: Front) -> None:
    pdf = b"%PDF-1.7\n\xe4\xe5"
    made = api.call("POST", "/fhir/Binary", pdf, Content_Type="application/pdf")
    id_ = made.headers["location"].split("/")[-3]
    own = api.get(f"/fhir/Binary/{id_}", Accept="application/pdf")
    assert (own.content, own.headers["content-type"], own.headers["x-content-type-options"]) == (pdf, "application/pdf", "nosniff")
    assert api.get(f"/fhir/Binary/{id_}", Accept="application/fhir+json").json()["contentType"] == "application/pdf"
    changed = api.call("PUT", f"/fhir/Binary/{id_}", b"plain", Content_Type="text/plain")
    assert changed.status_code == 200
    assert api.get(f"/fhir/Binary/{id_}", Accept="text/plain").content == b"plain"


def test_the_request_id_comes_back(api: Front) -> None:
    assert api.get("/fhir/metadata", X_Request_Id="abc-1").headers["x-request-id"] == "abc-1"
    assert api.get("/health", X_Request_Id="abc-2").headers["x-request-id"] == "abc-2"
    made_up = api.get("/fhir/metadata", X_Request_Id="390121195803140267 X").headers["x-request-id"]
    assert made_up.isalnum() and len(made_up) == 16


def test_links_are_absolute_behind_a_proxy(api: Front) -> None:
    made = api.write("POST", "/fhir/Basic", basic(), X_Forwarded_Proto="https", X_Forwarded_Host="fhir.example.org", X_Forwarded_Prefix="/gw")
    assert made.headers["location"].startswith("https://fhir.example.org/gw/fhir/Basic/")


def test_a_resident_made_by_api_is_found_by_later_records(api: Front) -> None:
    card = {"system": "urn:oid:2.16.156.10011.1.3", "value": id_card(300)}
    made = api.write("POST", "/fhir/Patient", {"resourceType": "Patient", "identifier": [card], "name": [{"text": "欧阳禾300"}]}).json()
    wrote = api.reading(reading(300, 300))["records"][0]["resources"]
    patients = {r["id"] for r in wrote if r["type"] == "Patient"}
    observations = [r["id"] for r in wrote if r["type"] == "Observation"]
    assert patients <= {made["id"]}
    assert api.get(f"/fhir/Observation/{observations[0]}").json()["subject"]["reference"] == f"Patient/{made['id']}"
    now = api.get(f"/fhir/Patient/{made['id']}").json()
    assert card["value"] in [i["value"] for i in now["identifier"]]
    assert api.call("DELETE", f"/fhir/Patient/{made['id']}").status_code == 409


def test_a_second_patient_with_a_known_number_stays_beside_the_first(api: Front) -> None:
    first = api.reading(reading(301, 301))["records"][0]["resources"]
    known = next(r["id"] for r in first if r["type"] == "Patient")
    card = {"system": "urn:oid:2.16.156.10011.1.3", "value": id_card(301)}
    body = {"resourceType": "Patient", "identifier": [card], "name": [{"text": "欧阳禾301"}]}
    made = api.write("POST", "/fhir/Patient", body).json()
    assert made["id"] != known
    assert made["identifier"] == [card]
    assert api.get(f"/fhir/Patient/{known}").json().get("active") is not False
    later = api.reading(reading(302, 301))["records"][0]["resources"]
    observed = next(r["id"] for r in later if r["type"] == "Observation")
    assert api.get(f"/fhir/Observation/{observed}").json()["subject"]["reference"] == f"Patient/{known}"
    assert api.call("DELETE", f"/fhir/Patient/{made['id']}").status_code == 204
    assert api.get(f"/fhir/Patient/{made['id']}").status_code == 410


def test_an_identifier_that_was_corrected_leads_nobody_astray(api: Front) -> None:
    wrong, right = ({"system": "urn:oid:2.16.156.10011.1.3", "value": id_card(n)} for n in (304, 305))
    body = {"resourceType": "Patient", "identifier": [wrong], "name": [{"text": "欧阳禾305"}]}
    made = api.write("POST", "/fhir/Patient", body).json()
    changed = api.write("PUT", f"/fhir/Patient/{made['id']}", {**body, "id": made["id"], "identifier": [right]})
    assert changed.status_code == 200
    assert [i["value"] for i in changed.json()["identifier"]] == [right["value"]]
    other = next(r["id"] for r in api.reading(reading(304, 304))["records"][0]["resources"] if r["type"] == "Patient")
    assert other != made["id"]
    wrote = api.reading(reading(305, 305))["records"][0]["resources"]
    observed = next(r["id"] for r in wrote if r["type"] == "Observation")
    assert api.get(f"/fhir/Observation/{observed}").json()["subject"]["reference"] == f"Patient/{made['id']}"


def test_a_record_does_not_silently_take_back_what_a_client_wrote(api: Front) -> None:
    wrote = api.reading(reading(310, 310, glucose=None))["records"][0]["resources"]
    id_ = next(r["id"] for r in wrote if r["type"] == "Observation")
    before = api.get(f"/fhir/Observation/{id_}").json()
    changed = api.write("PUT", f"/fhir/Observation/{id_}", before | {"note": [{"text": "复核过"}]})
    assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
    assert changed.json()["note"] == [{"text": "复核过"}]
    correction = reading(310, 310, glucose=None, updatedAt="2026-04-03T08:00:00+08:00", bp={"systolic": "150", "diastolic": "90"})
    outcome = api.reading(correction)["records"][0]
    assert outcome["state"] == "held"
    assert [f["code"] for f in outcome["findings"]] == ["written-by-api"]
    assert api.get(f"/fhir/Observation/{id_}").json() == changed.json()
    ((hold, sides),) = rows(api, "SELECT id, sides FROM hold WHERE code = 'written-by-api' AND state = 'open'")
    assert f"Observation/{id_}" in sides
    api.site.gateway.release(hold, "张三")
    now = api.get(f"/fhir/Observation/{id_}").json()
    assert "note" not in now
    assert now["meta"]["versionId"] == "3"


def test_where_records_merge_a_client_adds_its_word(api: Front) -> None:
    wrote = api.reading(reading(320, 320))["records"][0]["resources"]
    patient = next(r["id"] for r in wrote if r["type"] == "Patient")
    before = api.get(f"/fhir/Patient/{patient}").json()
    changed = api.write("PUT", f"/fhir/Patient/{patient}", before | {"telecom": [{"system": "phone", "value": "13900000000"}]})
    assert changed.json()["telecom"] == [{"system": "phone", "value": "13900000000"}]
    api.reading(reading(321, 320))
    now = api.get(f"/fhir/Patient/{patient}").json()
    assert now["telecom"] == [{"system": "phone", "value": "13900000000"}]
    assert {i["value"] for i in before["identifier"]} == {i["value"] for i in now["identifier"]}
