"""JSON Merge Patch on a resource (RFC 7396)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.fhir import json
from gateway.fhir.patch import apply_merge_patch

OBSERVATION: dict[str, Any] = json.decode(
    b'{"resourceType":"Observation","id":"o","status":"preliminary","code":{"text":"K"},"valueQuantity":{"value":5.60,"unit":"mmol/L"},'
    b'"note":[{"text":"a"},{"text":"b"}]}'
)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("{}", {}),
        ('{"status":"final"}', {"status": "final"}),
        ('{"valueQuantity":{"value":5.70}}', {"valueQuantity": {"value": json.decode("5.70"), "unit": "mmol/L"}}),
        ('{"note":[{"text":"c"}]}', {"note": [{"text": "c"}]}),
        ('{"note":null,"method":{"text":"x","id":null}}', {"note": None, "method": {"text": "x"}}),
        ('{"valueQuantity":{"value":null,"unit":null}}', {"valueQuantity": None}),
    ],
)
def test_objects_merge_null_takes_away_and_lists_are_replaced(change: str, changed: dict[str, Any]) -> None:
    before = copy.deepcopy(OBSERVATION)
    made = apply_merge_patch(OBSERVATION, json.decode(change))
    wanted = {k: v for k, v in (OBSERVATION | changed).items() if v is not None}
    assert json.encode(made) == json.encode({k: wanted[k] for k in made})
    assert made.keys() == wanted.keys()
    assert before == OBSERVATION


@pytest.mark.parametrize(
    ("change", "code"), [("[]", "bad-patch"), ("3", "bad-patch"), ('{"id":"p"}', "patch-failed"), ('{"resourceType":null}', "patch-failed")]
)
def test_what_is_no_object_and_what_would_make_another_resource_is_refused(change: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        apply_merge_patch(OBSERVATION, json.decode(change))
    assert caught.value.finding.code == code
