"""The CapabilityStatement says what answers, and nothing else does (https://hl7.org/fhir/R4/http.html#capabilities)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from gateway.http.call import Call
from gateway.http.callers import DEMO
from gateway.http.problems import Problem
from gateway.http.registry import registry
from gateway.http.router import route
from tests.http.conftest import Front
from tests.http.test_writes import basic

SAMPLES = {
    "date": "2020", "number": "1", "quantity": "1", "token": "x", "reference": "Patient/1", "string": "x", "uri": "http://x", "composite": "x$x",
    "special": "x",
}  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def statement(front: Front) -> Any:
    """The statement as JSON."""
    return front.get("/fhir/metadata").json()


def test_it_is_valid_and_r4(front: Front, statement: Any) -> None:
    CapabilityStatement.model_validate(statement)
    assert (statement["fhirVersion"], statement["kind"]) == ("4.0.1", "instance")
    assert statement["implementation"]["url"] == "http://127.0.0.1:8765/fhir"
    assert front.get("/fhir/metadata?_format=xml").text.count("<resource>") == len(statement["rest"][0]["resource"])


def test_every_search_parameter_it_names_is_understood(front: Front, statement: Any) -> None:
    for resource in statement["rest"][0]["resource"]:
        pairs = [(p["name"], SAMPLES[p["type"]]) for p in resource["searchParam"] if p["type"] != "composite"]
        answer = front.get(f"/fhir/{resource['type']}?_count=0&{urlencode(pairs)}", Prefer="handling=strict")
        assert answer.status_code == 200, (resource["type"], answer.text)


def test_every_composite_it_names_is_understood(front: Front, statement: Any) -> None:
    refused = []
    for resource in statement["rest"][0]["resource"]:
        for p in resource["searchParam"]:
            if p["type"] == "composite":
                answers = [
                    front.get(f"/fhir/{resource['type']}?_count=0&{p['name']}={v}", Prefer="handling=strict")
                    for v in ("x$x", "x$2020", "x$1", "x$1$2")
                ]
                if all(a.status_code != 200 for a in answers):
                    refused.append((resource["type"], p["name"], answers[0].text))
    assert refused == []


def test_every_interaction_it_names_answers(front: Front, statement: Any) -> None:
    front.write("PUT", "/fhir/Basic/cap", basic(id="cap"))
    tries = {
        "read": front.get("/fhir/Basic/cap"),
        "vread": front.get("/fhir/Basic/cap/_history/1"),
        "history-instance": front.get("/fhir/Basic/cap/_history"),
        "history-type": front.get("/fhir/Basic/_history"),
        "history-system": front.get("/fhir/_history"),
        "search-type": front.get("/fhir/Basic"),
        "search-system": front.get("/fhir?_type=Basic"),
        "create": front.write("POST", "/fhir/Basic", basic()),
        "update": front.write("PUT", "/fhir/Basic/cap", basic(id="cap")),
        "patch": front.call("PATCH", "/fhir/Basic/cap", b"[]", Content_Type="application/json-patch+json"),
        "transaction": front.write("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction"}),
        "batch": front.write("POST", "/fhir", {"resourceType": "Bundle", "type": "batch"}),
        "delete": front.call("DELETE", "/fhir/Basic/cap"),
    }
    assert {k: a.status_code for k, a in tries.items() if a.status_code not in (200, 201, 204)} == {}
    rest = statement["rest"][0]
    kinds = {r["type"]: {i["code"] for i in r["interaction"]} for r in rest["resource"]}
    assert len(kinds) > 140
    assert {i["code"] for i in rest["interaction"]} | kinds["Basic"] == set(tries)
    assert all(codes == kinds["Basic"] for codes in kinds.values())


def test_every_operation_it_names_is_routed(front: Front, statement: Any) -> None:
    rest = statement["rest"][0]
    told = {o["name"] for r in rest["resource"] for o in r.get("operation", ())} | {o["name"] for o in rest.get("operation", ())}
    assert told == {o.name for o in registry().operations}
    for operation in registry().operations:
        name = operation.name
        type_ = (operation.types or ("Basic",))[0]
        for level, path in (("system", ("$" + name,)), ("type", (type_, "$" + name)), ("instance", (type_, "1", "$" + name))):
            call = Call(None, DEMO, "POST", "", path)  # type: ignore[arg-type]  # routing asks nothing of the backend
            if level in operation.levels:
                assert route(call) is operation.handle
                continue
            with pytest.raises(Problem) as refused:
                route(call)
            assert refused.value.status == 404


def walk() -> list[tuple[str, str]]:
    """Every method on every pattern, and on some that are none."""
    shapes = [*registry().routes, "T/i/nothing", "T/i/_history/v/more", "nothing", "T/$nothing", "T/i/C/more", "_history/1"]
    shapes += [f"{p}${o.name}" for o in registry().operations for p in ("", "T/", "T/i/")]
    words = {"T": "Patient", "i": "walk", "v": "1", "C": "Observation"}
    return [(m, "/".join(["/fhir", *(words.get(p, p) for p in s.split("/"))])) for s in shapes for m in METHODS]


def test_every_route_answers_every_method_with_fhir_and_without_a_stack_trace(front: Front) -> None:
    front.write("PUT", "/fhir/Patient/walk", {"resourceType": "Patient", "id": "walk"})
    tries = [(b"", "text/plain"), (b"{", "application/fhir+json"), (b"<a/>", "application/fhir+xml"), (b"\xff\xfe", "application/json-patch+json"),
             (b'{"resourceType":"Parameters"}', "application/fhir+json")]  # fmt: skip
    for content, kind in tries:
        outcome = None
        for method, path in walk():
            answer = front.call(method, path, content, Content_Type=kind, Accept_Language="en")
            where = (method, path, content, kind, answer.status_code)
            assert answer.status_code < 500, where
            if answer.status_code < 400 or method == "HEAD":
                continue
            outcome = answer.json()
            assert outcome["resourceType"] == "OperationOutcome", where
            assert outcome["issue"][0]["code"] and outcome["issue"][0]["details"]["text"], where
            assert answer.headers["content-type"].startswith("application/fhir+json"), where
            assert "Traceback" not in answer.text and ".py" not in answer.text, where
        OperationOutcome.model_validate(outcome)


def test_what_the_registry_has_is_documented_at_its_place() -> None:
    for i in registry().interactions:
        assert i.clause.startswith("https://hl7.org/fhir/R4/"), i
        assert i.summary.endswith("."), i
    for o in registry().operations:
        assert o.clause.startswith("https://hl7.org/fhir/"), o
