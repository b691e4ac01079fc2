"""JSON Patch on a resource (RFC 6902, https://hl7.org/fhir/R4/http.html#patch)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.errors import Finding, Refused
from gateway.fhir import json
from gateway.fhir.patch import apply_json_patch

OBSERVATION: dict[str, Any] = json.decode(
    b'{"resourceType":"Observation","id":"o","status":"preliminary","code":{"text":"K"},"valueQuantity":{"value":5.60,"unit":"mmol/L"},'
    b'"note":[{"text":"a"},{"text":"b"}],"_issued":{"extension":[{"url":"urn:x","valueBoolean":true}]}}'
)


def patched(operations: str) -> dict[str, Any]:
    before = copy.deepcopy(OBSERVATION)
    made = apply_json_patch(OBSERVATION, json.decode(operations))
    assert before == OBSERVATION
    return made


def refused(operations: str) -> Finding:
    before = copy.deepcopy(OBSERVATION)
    with pytest.raises(Refused) as caught:
        apply_json_patch(OBSERVATION, json.decode(operations))
    assert before == OBSERVATION
    return caught.value.finding


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ("[]", {}),
        ('[{"op":"replace","path":"/status","value":"final"}]', {"status": "final"}),
        ('[{"op":"add","path":"/note/-","value":{"text":"c"}}]', {"note": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}),
        ('[{"op":"add","path":"/note/1","value":{"text":"c"}}]', {"note": [{"text": "a"}, {"text": "c"}, {"text": "b"}]}),
        ('[{"op":"remove","path":"/note/0"}]', {"note": [{"text": "b"}]}),
        ('[{"op":"move","from":"/note/1","path":"/note/0"}]', {"note": [{"text": "b"}, {"text": "a"}]}),
        ('[{"op":"copy","from":"/code","path":"/method"}]', {"method": {"text": "K"}}),
        ('[{"op":"test","path":"/status","value":"preliminary"},{"op":"replace","path":"/status","value":"final"}]', {"status": "final"}),
        (
            '[{"op":"add","path":"/_issued/extension/-","value":{"url":"urn:y","valueCode":"a"}}]',
            {"_issued": {"extension": [{"url": "urn:x", "valueBoolean": True}, {"url": "urn:y", "valueCode": "a"}]}},
        ),
        ('[{"op":"add","path":"/note/0/_text","value":{"id":"t"}}]', {"note": [{"text": "a", "_text": {"id": "t"}}, {"text": "b"}]}),
        ('[{"op":"replace","path":"/code/text","value":"a/b~c"}]', {"code": {"text": "a/b~c"}}),
    ],
)
def test_each_operation(operations: str, changed: dict[str, Any]) -> None:
    assert patched(operations) == OBSERVATION | changed


@pytest.mark.parametrize("value", ["5.60", "5.6", "5.600"])
def test_numbers_are_equal_by_value_and_keep_their_digits(value: str) -> None:
    made = patched(f'[{{"op":"test","path":"/valueQuantity/value","value":{value}}},{{"op":"add","path":"/valueQuantity/code","value":"a"}}]')
    assert b'"value":5.60' in json.encode(made)
    assert b'"value":7.10' in json.encode(patched('[{"op":"replace","path":"/valueQuantity/value","value":7.10}]'))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/valueQuantity/value", "5.61"),
        ("/valueQuantity/value", '"5.60"'),
        ("/_issued/extension/0/valueBoolean", "1"),
        ("/nothing", "null"),
        ("/note", '[{"text":"a"}]'),
    ],
)
def test_a_test_that_does_not_hold_fails_the_whole(path: str, value: str) -> None:
    finding = refused(f'[{{"op":"remove","path":"/status"}},{{"op":"test","path":"{path}","value":{value}}}]')
    assert (finding.code, finding.source, finding.target) == ("patch-failed", "operation 2", path)
    assert finding.message.startswith(f"第 2 个操作 (test {path}): ")


def test_what_a_patch_leaves_empty_disappears() -> None:
    assert "note" not in patched('[{"op":"remove","path":"/note/0"},{"op":"remove","path":"/note/0"}]')
    assert "note" not in patched('[{"op":"remove","path":"/note/0/text"},{"op":"remove","path":"/note/1/text"}]')
    assert "_issued" not in patched('[{"op":"remove","path":"/_issued/extension/0"}]')
    assert patched('[{"op":"remove","path":"/note/0"},{"op":"remove","path":"/note/0"},{"op":"add","path":"/note/-","value":{"text":"c"}}]')[
        "note"
    ] == [{"text": "c"}]


def test_nulls_that_hold_a_place_stay() -> None:
    patient = {"resourceType": "Patient", "name": [{"given": [None, "b"], "_given": [{"id": "1"}, None]}]}
    assert apply_json_patch(patient, [{"op": "add", "path": "/active", "value": True}])["name"] == patient["name"]
    bare = apply_json_patch(patient, [{"op": "remove", "path": "/name/0/_given/0"}, {"op": "remove", "path": "/name/0/given/0"}])
    assert bare["name"] == [{"given": ["b"]}]


@pytest.mark.parametrize(
    "operation",
    [
        '{"op":"remove","path":"/nothing"}',
        '{"op":"remove","path":"/note/2"}',
        '{"op":"replace","path":"/nothing","value":1}',
        '{"op":"replace","path":"/note/2","value":{}}',
        '{"op":"add","path":"/note/3","value":{}}',
        '{"op":"add","path":"/note/01","value":{}}',
        '{"op":"add","path":"/nothing/deep","value":1}',
        '{"op":"add","path":"/status/deep","value":1}',
        '{"op":"move","from":"/nothing","path":"/status"}',
        '{"op":"move","from":"/code","path":"/code/text"}',
        '{"op":"copy","from":"/nothing","path":"/status"}',
        '{"op":"remove","path":""}',
        '{"op":"replace","path":"/id","value":"p"}',
        '{"op":"remove","path":"/id"}',
        '{"op":"replace","path":"/resourceType","value":"Patient"}',
        '{"op":"replace","path":"","value":[]}',
    ],
)
def test_an_operation_that_cannot_be_done_fails(operation: str) -> None:
    assert refused(f"[{operation}]").code == "patch-failed"


@pytest.mark.parametrize(
    "operations",
    [
        "{}",
        '"a"',
        "[1]",
        '["add"]',
        "[{}]",
        '[{"op":"erase","path":"/status"}]',
        '[{"op":1,"path":"/status"}]',
        '[{"op":"remove"}]',
        '[{"op":"remove","path":1}]',
        '[{"op":"remove","path":"status"}]',
        '[{"op":"add","path":"/issued"}]',
        '[{"op":"test","path":"/status"}]',
        '[{"op":"move","path":"/status"}]',
        '[{"op":"replace","path":"/status","value":"final"},{"op":"erase","path":"/status"}]',
    ],
)
def test_what_is_no_json_patch_is_refused_as_such(operations: str) -> None:
    assert refused(operations).code == "bad-patch"


def test_the_exception_carries_no_values() -> None:
    with pytest.raises(Refused) as caught:
        apply_json_patch(OBSERVATION, [{"op": "test", "path": "/code/text", "value": "江岚"}])
    assert "江岚" not in str(caught.value) + caught.value.finding.message and "K" not in caught.value.finding.message
    assert caught.value.__cause__ is None
