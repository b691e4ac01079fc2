"""Conditional interactions and repeated requests (https://hl7.org/fhir/R4/http.html#ccreate), on both engines."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from tests.http.conftest import Front

FHIR = {"Content_Type": "application/fhir+json"}


def device(value: str, **more: Any) -> dict[str, Any]:
    """A resource with an identifier."""
    return {"resourceType": "Device", "identifier": [{"system": "urn:x", "value": value}], **more}


def total(front: Front, value: str) -> int:
    """How many devices have this identifier."""
    return int(front.get(f"/fhir/Device?identifier=urn:x|{value}&_total=accurate").json()["total"])


def create(front: Front, value: str, **headers: str) -> Any:
    """A conditional create."""
    return front.write("POST", "/fhir/Device", device(value), If_None_Exist=f"identifier=urn:x|{value}", **headers)


def test_conditional_create_makes_one_and_then_finds_it(api: Front) -> None:
    first, second = create(api, "c1"), create(api, "c1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert total(api, "c1") == 1


@pytest.mark.parametrize("criteria", ["identifier=urn:x|c2", "?identifier=urn:x%7Cc2", "Device?identifier=urn:x|c2&_format=json"])
def test_criteria_come_in_several_writings(api: Front, criteria: str) -> None:
    create(api, "c2")
    assert api.write("POST", "/fhir/Device", device("c2"), If_None_Exist=criteria).status_code == 200


@pytest.mark.parametrize("criteria", ["", "_format=json", "identifier=", "colour=red"])
def test_criteria_that_say_nothing_are_refused(api: Front, criteria: str) -> None:
    before = total(api, "c3")
    for method, path, headers in (
        ("POST", "/fhir/Device", {"If_None_Exist": criteria}), ("PUT", f"/fhir/Device?{criteria}", {}), ("DELETE", f"/fhir/Device?{criteria}", {}),
    ):  # fmt: skip
        assert api.write(method, path, device("c3"), **headers).status_code == 412, method
    assert total(api, "c3") == before


def sixteen(value: str) -> list[tuple[str, str, Any, dict[str, str]]]:
    """The same conditional create from sixteen clients."""
    content = msgspec.json.encode(device(value))
    return [("POST", "/fhir/Device", content, {**FHIR, "If_None_Exist": f"identifier=urn:x|{value}"}) for _ in range(16)]


def test_sixteen_clients_at_once_make_exactly_one(api: Front) -> None:
    for n in range(5):
        answers = api.together(sixteen(f"s{n}"))
        assert Counter(a.status_code for a in answers) == {201: 1, 200: 15}
        assert len({a.json()["id"] for a in answers}) == 1
        assert total(api, f"s{n}") == 1


def test_several_matches_are_412(api: Front) -> None:
    for _ in range(2):
        assert api.write("POST", "/fhir/Device", device("twice")).status_code == 201, "plain creates may share identifiers"
    assert create(api, "twice").status_code == 412
    for method in ("PUT", "DELETE"):
        answer = api.write(method, "/fhir/Device?identifier=urn:x|twice", device("twice"))
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (412, "multiple-matches")
    assert total(api, "twice") == 2


def test_conditional_update_creates_then_updates(api: Front) -> None:
    path = "/fhir/Device?identifier=urn:x|cu"
    first = api.write("PUT", path, device("cu"))
    assert first.status_code == 201
    second = api.write("PUT", path, device("cu", lotNumber="7"))
    assert (second.status_code, second.headers["etag"], second.json()["id"]) == (200, 'W/"2"', first.json()["id"])
    assert api.write("PUT", path, device("cu", id="another")).status_code == 400
    assert api.write("PUT", path, device("cu", id=first.json()["id"])).status_code == 200
    assert api.write("PUT", path, device("cu", lotNumber="8"), If_Match='W/"1"').status_code == 412
    named = api.write("PUT", "/fhir/Device?identifier=urn:x|cu2", device("cu2", id="chosen-cu2"))
    assert (named.status_code, named.json()["id"]) == (201, "chosen-cu2")


def test_conditional_delete(api: Front) -> None:
    made = create(api, "cd").json()
    assert api.call("DELETE", "/fhir/Device?identifier=urn:x|cd").status_code == 204
    assert api.get(f"/fhir/Device/{made['id']}").status_code == 410
    assert api.call("DELETE", "/fhir/Device?identifier=urn:x|cd").status_code == 204
    assert create(api, "cd").status_code == 201, "what was deleted does not count"


def test_a_repeated_request_gets_the_first_answer(api: Front) -> None:
    content = msgspec.json.encode(device("ik"))
    first = api.call("POST", "/fhir/Device", content, Idempotency_Key="k-1", **FHIR)
    again = api.call("POST", "/fhir/Device", content, Idempotency_Key="k-1", **FHIR)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert "idempotent-replay" not in first.headers
    assert (again.headers["idempotent-replay"], again.headers["location"]) == ("true", first.headers["location"])
    assert total(api, "ik") == 1
    other = api.call("POST", "/fhir/Device", msgspec.json.encode(device("ik2")), Idempotency_Key="k-1", **FHIR)
    assert (other.status_code, other.json()["issue"][0]["code"]) == (422, "business-rule")
    assert total(api, "ik2") == 0
    assert api.call("POST", "/fhir/Device", content, Idempotency_Key="k-2", **FHIR).status_code == 201


def test_sixteen_repeats_at_once_write_once(api: Front) -> None:
    content = msgspec.json.encode(device("ik16"))
    answers = api.together([("POST", "/fhir/Device", content, {**FHIR, "Idempotency_Key": "k-16"})] * 16)
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert Counter(a.headers.get("idempotent-replay", "") for a in answers) == {"": 1, "true": 15}


def test_a_repeated_delete_says_what_the_first_said(api: Front) -> None:
    id_ = create(api, "ikd").json()["id"]
    first = api.call("DELETE", f"/fhir/Device/{id_}", Idempotency_Key="k-d")
    again = api.call("DELETE", f"/fhir/Device/{id_}", Idempotency_Key="k-d")
    assert (first.status_code, again.status_code) == (204, 204)
    assert first.headers["etag"] == again.headers["etag"] == 'W/"2"'
    assert again.headers["idempotent-replay"] == "true"
