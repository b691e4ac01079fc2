"""How contributions make one resource: every answer is the same for any order of the contributions."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gateway.store.compose import Contribution, Precedence, compose, fold, overlay

PRECEDENCE = Precedence.from_csv("type,element,authorities\nPatient,address,urn:ehr;urn:his\n")


def said(n: int, kind: str, body: dict[str, Any], *, authority: str = "urn:his", stamp: str = "2026", by: str = "") -> Contribution:
    """A contribution of record n."""
    return Contribution(n, authority, str(n), stamp, f"d{n}", kind, by, True, body)


CASES = [
    ("Observation", [said(1, "one", {"a": 1}, stamp="2026-02"), said(2, "one", {"a": 2}, stamp="2026-01")], {"a": 2}),
    ("Observation", [said(1, "one", {"a": 1}), said(2, "one", {"a": 2})], {"a": 1}),
    ("CarePlan", [said(1, "latest", {"a": 1}, by="2026-03"), said(2, "latest", {"a": 2}, by="2026-01", stamp="2027")], {"a": 1}),
    ("Patient", [said(1, "merge", {"gender": "male"}), said(2, "merge", {"birthDate": "1980"})], {"birthDate": "1980", "gender": "male"}),
    ("Patient", [said(1, "merge", {"gender": "male"}, stamp="2026"), said(2, "merge", {"gender": "female"}, stamp="2025")], {"gender": "male"}),
    (
        "Patient",  # the archive's word on the address counts before the newer one of the hospital; lists of both are united
        [said(1, "merge", {"address": [{"text": "新"}]}, stamp="2027"), said(2, "merge", {"address": [{"text": "档"}]}, authority="urn:ehr")],
        {"address": [{"text": "档"}, {"text": "新"}]},
    ),
    (
        "Patient",
        [
            said(1, "merge", {"identifier": [{"system": "s", "value": "1", "use": "official"}]}, stamp="2027"),
            said(2, "merge", {"identifier": [{"system": "s", "value": "1"}, {"system": "s", "value": "2"}]}),
        ],
        {"identifier": [{"system": "s", "value": "1", "use": "official"}, {"system": "s", "value": "2"}]},
    ),
    ("Condition", [said(1, "merge", {"onsetString": "早年"}), said(2, "merge", {"onsetDateTime": "2001"}, stamp="2027")], {"onsetDateTime": "2001"}),
]


@pytest.mark.parametrize(("type_", "contributions", "expected"), CASES)
def test_any_order_gives_the_same(type_: str, contributions: list[Contribution], expected: dict[str, Any]) -> None:
    for order in itertools.permutations(contributions):
        assert compose(type_, order, PRECEDENCE) == expected


def test_a_delta_joins_periods_replaces_values_and_clears() -> None:
    first = {"period": {"start": "1"}, "code": {"coding": [{"code": "a"}], "text": "甲"}, "valueQuantity": {"value": 1}}
    second = {"period": {"end": "2"}, "code": {"text": "乙"}, "valueString": "无"}
    assert overlay(first, second) == {"period": {"start": "1", "end": "2"}, "code": {"text": "乙"}, "valueString": "无"}
    assert fold([first, {}], [(), ("period.start", "value[x]")]) == {"period": {}, "code": first["code"]}
    assert first["period"] == {"start": "1"}
