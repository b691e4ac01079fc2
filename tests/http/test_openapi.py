"""The OpenAPI document says what answers, and nothing else does (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from starlette.routing import Route

from gateway.config import token_hash
from gateway.fhir import json
from gateway.fhir.elements import load
from gateway.http.app import Guard
from gateway.http.call import Call
from gateway.http.callers import DEMO
from gateway.http.openapi.document import document
from gateway.http.openapi.statuses import DESCRIPTIONS, NAMED
from gateway.http.problems import Problem
from gateway.http.registry import registry
from gateway.http.router import route
from tests.fhir.generated import resources
from tests.http.conftest import Front, Opened
from tests.http.test_writes import basic

METHODS = ("get", "post", "put", "patch", "delete")
WORDS = {"{type}": "Basic", "{id}": "1", "{version}": "1", "{member}": "*"}
DETAILED = ["Patient", "Observation", "Binary", "Subscription", "Device"]


@pytest.fixture(scope="module")
def told(front: Front) -> Any:
    """The document as JSON."""
    return front.get("/openapi.json").json()


def test_it_is_openapi_3_1(front: Front, told: Any) -> None:
    assert told["openapi"] == "3.1.0"
    for found in (told, front.get(f"/openapi.json?type={','.join(DETAILED)}").json()):
        schemathesis.openapi.from_dict(found).validate()
        calls = [(p, m, o) for p, methods in found["paths"].items() for m, o in methods.items()]
        assert len({o["operationId"] for _, _, o in calls}) == len(calls)
        for path, _, o in calls:
            parts = [p for p in (resolved(found, p) for p in o.get("parameters", ())) if p["in"] == "path"]
            assert sorted(p["name"] for p in parts) == sorted(re.findall(r"{(\w+)}", path)), path
    for ref in re.findall(r'"\$ref":"#/([^"]+)"', front.get("/openapi.json").text):
        value: Any = told
        for step in ref.split("/"):
            value = value[step]


def resolved(found: Any, parameter: Any) -> Any:
    """A parameter, or the one that it refers to."""
    return found["components"]["parameters"][parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter


def answers(path: str, method: str) -> bool:
    """Whether a FHIR address is routed for a method."""
    parts = tuple(WORDS.get(p, p) for p in path.removeprefix("/fhir").strip("/").split("/") if p)
    try:
        route(Call(None, DEMO, method.upper(), "", parts))  # type: ignore[arg-type]  # routing asks nothing of the backend
    except Problem as refused:
        assert refused.status in (404, 405), (path, method)
        return False
    return True


@pytest.mark.parametrize("types", [[], ["Patient"], DETAILED])
def test_every_fhir_address_it_names_answers_these_methods_and_no_other(types: list[str]) -> None:
    found = document("http://x", load(), types)["paths"]
    wrong = [(path, m) for path, methods in found.items() for m in METHODS if path.startswith("/fhir") and answers(path, m) != (m in methods)]
    assert wrong == []


def registered() -> Iterator[tuple[str, str]]:
    """(path, method) of all that the registry has, with the words of the document."""
    words = {"T": "{type}", "i": "{id}", "v": "{version}", "C": "{member}"}
    shapes = [(i.shape, i.method) for i in registry().interactions]
    for o in registry().operations:
        for level in o.levels:
            shapes += [
                ({"system": "", "type": "T/", "instance": "T/i/"}[level] + f"${o.name}", m) for m in (["POST"] if o.affects else ["GET", "POST"])
            ]
    for shape, method in shapes:
        yield "/".join(["/fhir", *(words.get(p, p) for p in shape.split("/") if p)]), method.lower()


def test_everything_that_is_registered_is_in_it(told: Any) -> None:
    named = {(re.sub(r"^/fhir/[A-Z]\w+", "/fhir/{type}", path), m) for path, methods in told["paths"].items() for m in methods}
    assert set(registered()) == {(p, m) for p, m in named if p.startswith("/fhir")}
    interactions, operations = {i.handle.__name__ for i in registry().interactions}, {o.handle.__name__ for o in registry().operations}
    assert interactions <= set(NAMED) <= interactions | operations


def test_every_other_route_is_in_it(front: Front, told: Any) -> None:
    assert isinstance(front.app, Guard) and isinstance(front.app.app, FastAPI)
    routes = {(r.path, m.lower()) for r in front.app.app.routes if isinstance(r, Route) for m in r.methods or ()}
    named = {(p, m) for p, methods in told["paths"].items() for m in methods if not p.startswith("/fhir")}
    assert named == {r for r in routes if not r[0].startswith("/commands")}  # commands are for yifang itself (docs/api.md)


def test_every_status_it_names_is_explained(front: Front, told: Any) -> None:
    page = front.get(f"/openapi.json?type={','.join(DETAILED)}").json()
    for found in (told, page):
        for path, methods in found["paths"].items():
            for o in methods.values():
                assert set(o["responses"]) <= {str(s) for s in (*DESCRIPTIONS, 207)}, path


def test_search_parameters_of_a_type_are_those_of_the_capability_statement(front: Front) -> None:
    found = front.get("/openapi.json?type=Patient").json()
    statement = front.get("/fhir/metadata").json()["rest"][0]["resource"]
    patient = next(r for r in statement if r["type"] == "Patient")
    controls = {"_format", "_pretty", "_sort", "_include", "_revinclude", "_total", "_count", "_cursor", "_summary", "_elements"}
    named = {p["name"] for p in (resolved(found, p) for p in found["paths"]["/fhir/Patient"]["get"]["parameters"]) if p["in"] == "query"}
    assert named - controls == {p["name"] for p in patient["searchParam"]}


def test_every_query_parameter_it_names_is_understood_under_strict_handling(front: Front, told: Any) -> None:
    """Also of history and operations, which refuse what they do not know."""
    front.write("PUT", "/fhir/Patient/1", {"resourceType": "Patient", "id": "1"})
    values = {"_count": "1", "_since": "2026-01-01", "_at": "2026-01-01", "start": "2026-01-01", "end": "2026-01-01", "max": "1", "_elements": "id"}
    values |= {"_type": "Patient", "eventsSinceNumber": "1", "_summary": "true", "_total": "none", "_pretty": "true", "_format": "json"}
    for path in (
        "/fhir/{type}/_history",
        "/fhir/_history",
        "/fhir/{type}/{id}/_history",
        "/fhir/Patient/{id}/$everything",
        "/fhir",
        "/fhir/{type}/{id}",
    ):
        named = [p["name"] for p in (resolved(told, p) for p in told["paths"][path]["get"]["parameters"]) if p["in"] == "query"]
        for name in set(named) & set(values):
            address = path.replace("{type}", "Patient").replace("{id}", "1")
            answer = front.get(f"{address}?{name}={values[name]}", Prefer="handling=strict")
            assert answer.status_code == 200, (path, name, answer.text)


def test_types_in_detail_are_those_of_r4_and_not_too_many(front: Front) -> None:
    assert front.get("/openapi.json?type=patient").status_code == 400
    many = front.get("/openapi.json?type=" + ",".join(load().resource_types()[:21]))
    assert (many.status_code, many.json()["issue"][0]["code"]) == (400, "too-costly")


def test_it_needs_no_token_and_says_where_one_is_needed(opened: Opened, told: Any) -> None:
    assert told["security"] == [] and "401" not in told["paths"]["/fhir/{type}"]["post"]["responses"]
    client = {"name": "his", "organisation": "123456789", "role": "system", "token_sha256": token_hash("t")}
    guarded = opened(client=[client])
    found = guarded.get("/openapi.json").json()
    assert found["security"] == [{"bearer": []}]
    for path, methods in found["paths"].items():
        for method, o in methods.items():
            answer = guarded.call(method.upper(), re.sub(r"{\w+}", lambda w: WORDS.get(w[0], "x"), path))
            assert (answer.status_code == 401) == ("401" in o["responses"]) == ("security" not in o), (path, method, answer.status_code)


@pytest.mark.slow
@given(resources())
@settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_valid_resource_is_valid_by_its_schema(resource: dict[str, Any]) -> None:
    type_ = resource["resourceType"]
    validator = validators.get(type_)
    if validator is None:
        components = document("http://x", load(), [type_])["components"]
        validator = validators[type_] = jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{type_}", "components": components})
    errors = [e.message for e in validator.iter_errors(plain(json.encode(resource)))]
    assert errors == [], resource


validators: dict[str, Any] = {}


def plain(content: bytes) -> Any:
    """JSON with floats."""
    import json as standard

    return standard.loads(content)


@pytest.mark.parametrize(
    "change",
    [
        {"birthDate": 7},
        {"gender": "man"},
        {"name": {}},
        {"colour": "red"},
        {"active": "yes"},
        {"multipleBirthInteger": 1.5},
        {"birthDate": "1970-13"},
    ],
    ids=str,
)
def test_a_schema_refuses_what_the_gateway_refuses(front: Front, change: dict[str, Any]) -> None:
    components = document("http://x", load(), ["Patient"])["components"]
    validator = jsonschema_rs.validator_for({"$ref": "#/components/schemas/Patient", "components": components})
    patient = {"resourceType": "Patient", "id": "bad"} | change
    assert not validator.is_valid(patient)
    assert front.write("PUT", "/fhir/Patient/bad", patient).status_code == 422


def test_it_says_where_the_client_reaches_the_gateway(front: Front) -> None:
    front.write("PUT", "/fhir/Basic/o", basic(id="o"))
    found = front.get("/openapi.json", X_Forwarded_Host="fhir.example.org", X_Forwarded_Proto="https", X_Forwarded_Prefix="/yifang").json()
    assert found["servers"] == [{"url": "https://fhir.example.org/yifang"}]
