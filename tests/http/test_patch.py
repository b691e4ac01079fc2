"""PATCH over HTTP (https://hl7.org/fhir/R4/http.html#patch), on both engines."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from tests.http.conftest import Front
from tests.http.test_bundles import entry, send, statuses
from tests.http.test_writes import basic

JSON_PATCH = {"Content_Type": "application/json-patch+json"}


def patched(front: Front, path: str, *operations: dict[str, Any], **headers: str) -> Any:
    """A JSON Patch."""
    return front.call("PATCH", path, msgspec.json.encode(operations), **{**JSON_PATCH, **headers})


def set_created(value: str) -> dict[str, Any]:
    """An operation that sets Basic.created."""
    return {"op": "add", "path": "/created", "value": value}


def by_path(value: str) -> dict[str, Any]:
    """A FHIRPath Patch that sets Basic.code.text."""
    parts = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Basic.code.text"}, {"name": "value", "valueString": value}]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def test_json_patch_makes_the_next_version(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/p1", basic(id="p1"))
    answer = patched(api, "/fhir/Basic/p1", set_created("2026-06-01"))
    assert (answer.status_code, answer.headers["etag"], answer.json()["created"]) == (200, 'W/"2"', "2026-06-01")
    assert api.get("/fhir/Basic/p1").content == answer.content
    assert patched(api, "/fhir/Basic/p1", set_created("2026-06-01")).headers["etag"] == 'W/"2"'


def test_fhirpath_patch_in_json_and_xml(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/p2", basic(id="p2"))
    assert api.write("PATCH", "/fhir/Basic/p2", by_path("复诊")).json()["code"] == {"text": "复诊"}
    xml = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="delete"/></part>'
        '<part><name value="path"/><valueString value="Basic.code.coding"/></part></parameter></Parameters>'
    )
    assert api.call("PATCH", "/fhir/Basic/p2", xml.encode(), Content_Type="application/fhir+xml").status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "headers", "status"),
    [
        ("/fhir/Basic/p3", b'[{"op":"remove","path":"/author"}]', JSON_PATCH, 422),
        ("/fhir/Basic/p3", b'[{"op":"test","path":"/id","value":"other"}]', JSON_PATCH, 422),
        ("/fhir/Basic/p3", b'[{"op":"replace","path":"/id","value":"other"}]', JSON_PATCH, 422),
        ("/fhir/Basic/p3", b'[{"op":"remove","path":"/code"}]', JSON_PATCH, 422),
        ("/fhir/Basic/p3", b'[{"op":"jump"}]', JSON_PATCH, 400),
        ("/fhir/Basic/p3", b"{", JSON_PATCH, 400),
        ("/fhir/Basic/p3", b"[]", {"Content_Type": "text/plain"}, 415),
        ("/fhir/Basic/p3", b'[{"op":"add","path":"/created","value":"2026"}]', {**JSON_PATCH, "If_Match": 'W/"9"'}, 412),
        ("/fhir/Basic/never", b"[]", JSON_PATCH, 404),
        ("/fhir/Basic?created=1999", b"[]", JSON_PATCH, 404),
    ],
)
def test_what_a_patch_is_refused_for(api: Front, path: str, content: bytes, headers: dict[str, str], status: int) -> None:
    before = api.write("PUT", "/fhir/Basic/p3", basic(id="p3")).json()
    answer = api.call("PATCH", path, content, **headers)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert api.get("/fhir/Basic/p3").json() == before


def test_a_deleted_resource_is_410(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/p4", basic(id="p4"))
    api.call("DELETE", "/fhir/Basic/p4")
    assert patched(api, "/fhir/Basic/p4").status_code == 410


def test_conditional_patch(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/p5", basic(id="p5", identifier=[{"system": "urn:p", "value": "5"}]))
    assert patched(api, "/fhir/Basic?identifier=urn:p|5", set_created("2026-06-05")).json()["created"] == "2026-06-05"
    for n in (6, 7):
        api.write("PUT", f"/fhir/Basic/p{n}", basic(id=f"p{n}", identifier=[{"system": "urn:p", "value": "67"}]))
    assert patched(api, "/fhir/Basic?identifier=urn:p|67", set_created("2026-06-05")).status_code == 412


def test_patches_of_one_resource_at_once_are_all_done(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/p8", basic(id="p8", identifier=[{"value": "0"}]))
    add = [msgspec.json.encode([{"op": "add", "path": "/identifier/-", "value": {"value": str(n)}}]) for n in range(1, 6)]
    answers = api.together([("PATCH", "/fhir/Basic/p8", content, JSON_PATCH) for content in add])
    assert {a.status_code for a in answers} == {200}
    assert sorted(i["value"] for i in api.get("/fhir/Basic/p8").json()["identifier"]) == ["0", "1", "2", "3", "4", "5"]


def test_patches_in_a_transaction(api: Front) -> None:
    for n in (10, 11):
        api.write("PUT", f"/fhir/Basic/p{n}", basic(id=f"p{n}"))
    data = base64.b64encode(msgspec.json.encode([set_created("2026-06-10")])).decode()
    json_patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    answer = send(api, "transaction", entry("PATCH", "Basic/p10", json_patch), entry("PATCH", "Basic/p11", by_path("事务")))
    assert statuses(answer) == ["200 OK", "200 OK"]
    assert api.get("/fhir/Basic/p10").json()["created"] == "2026-06-10"
    assert api.get("/fhir/Basic/p11").json()["code"]["text"] == "事务"
