"""Requests drawn from the OpenAPI document: no 5xx, and no status, content type or body that it does not name.

https://schemathesis.readthedocs.io. In one round types are a part of the address and bodies are any objects; in the other a few types are told
in detail, and most bodies are valid resources or what they become when one value is changed. The requests are always the same; YIFANG_TEST_FUZZ
draws so many others for each address (`--hypothesis-seed` repeats them).
"""

from __future__ import annotations

import json as standard
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from gateway.errors import Refused
from gateway.fhir import json, xml
from tests.fhir.generated import resources
from tests.http.conftest import Front, listening

EXAMPLES = int(os.environ.get("YIFANG_TEST_FUZZ", "10"))
HUNT = "YIFANG_TEST_FUZZ" in os.environ
DETAILED = ["Observation", "Binary"]
ANY = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}}
KEPT = st.sampled_from(["1", "2", "3"])
"""Ids that come again, so that a resource is written, read, changed and deleted."""
JUNK = st.sampled_from(
    [None, True, -1, 10**40, 1e300, "", "\x00", "Patient?", "http://[", "9999-12-31T23:59:59+14:00", [], {}, [[]], [None], {"reference": []}]
)
CHECKS = [schemathesis.checks.not_a_server_error, status_code_conformance, response_schema_conformance]
Draw = st.SearchStrategy[Any]


@schemathesis.serializer("application/fhir+xml")
def as_xml(context: Any, value: Any) -> bytes:
    """FHIR XML where the value has one; else its JSON, which is none."""
    with suppress(Refused, AttributeError, TypeError, ValueError, KeyError):
        return xml.encode(value)
    return as_json(context, value)


@schemathesis.serializer("application/fhir+json", "application/json-patch+json", "application/merge-patch+json")
def as_json(_context: Any, value: Any) -> bytes:
    """JSON, lone surrogates and NaN included."""
    return standard.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@schemathesis.serializer("*/*")
def as_it_is(_context: Any, value: Any) -> bytes:
    """Content of a Binary, or a source's message."""
    return bytes(getattr(value, "data", b"") or b"")


@st.composite
def changed(draw: st.DrawFn, types: Sequence[str]) -> Any:
    """A valid resource, mostly with one value changed."""
    resource: Any = standard.loads(json.encode(draw(resources(st.sampled_from(types)))))
    holder, key = draw(st.sampled_from([(None, None), *places(resource)]))
    if holder is not None:
        holder[key] = draw(JUNK)
    return resource


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of everything below a value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(inner)


@st.composite
def requested(draw: st.DrawFn, operation: Any, types: Sequence[str]) -> Any:
    """A request for one address; `body` and `id` are replaced now and then by what leads further."""
    case = draw(operation.as_strategy())
    if "id" in (case.path_parameters or {}) and draw(st.integers(0, 3)):
        case.path_parameters["id"] = draw(KEPT)
    if case.media_type in ("application/fhir+json", "application/fhir+xml") and operation.method in ("post", "put") and draw(st.integers(0, 3)):
        type_ = (case.path_parameters or {}).get("type") or operation.path.removeprefix("/fhir").split("/")[-1]
        own = [type_] if type_ in types else ["Parameters"] if "$" in operation.path else ["Bundle"]
        case.body = draw(changed(own))
        if operation.method == "put" and isinstance(case.body, dict) and "id" in (case.path_parameters or {}):
            case.body["id"] = case.path_parameters["id"]
    return case


def loosened(document: dict[str, Any]) -> dict[str, Any]:
    """The document with any object for a resource in a request: `changed` draws better ones, at a fraction of the time."""
    for methods in document["paths"].values():
        for call in methods.values():
            for media, content in call.get("requestBody", {}).get("content", {}).items():
                if media.startswith("application/fhir"):
                    content["schema"] = ANY
    return document


def run(base: str, document: dict[str, Any], seen: Callable[[requests.Response], None]) -> None:
    """Sends what is drawn for every address of the document. Raises the first answer that breaks a rule, with the request."""
    schema = schemathesis.openapi.from_dict(loosened(document))
    schema.config.update(base_url=base)
    session = requests.Session()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=not HUNT,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=requested(operation, DETAILED))
        def conforms(case: Any) -> None:
            answer = case.call(session=session)
            seen(answer)
            empty = not answer.content  # 204, 304, `Prefer: return=minimal`
            case.validate_response(answer, checks=CHECKS if empty else [*CHECKS, content_type_conformance])

        conforms()


@pytest.mark.slow
@pytest.mark.parametrize("types", [[], DETAILED], ids=["any-type", "in-detail"])
@pytest.mark.timeout(0 if HUNT else 300)
def test_requests_drawn_from_the_document_are_answered_as_it_says(front: Front, types: list[str]) -> None:
    found: dict[int, int] = {}

    def seen(answer: Any) -> None:
        found[answer.status_code] = found.get(answer.status_code, 0) + 1

    with listening(front) as base:
        root = base.removesuffix("/fhir")
        document = requests.get(f"{root}/openapi.json", params={"type": ",".join(types)}, timeout=60).json()
        if types:  # the others are those of the first round
            document["paths"] = {p: m for p, m in document["paths"].items() if p.split("/")[2:3] in [[t] for t in types]}
        run(root, document, seen)
    assert {200, 400, 404} <= set(found), found
