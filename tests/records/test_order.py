"""design/records.md: any permutation of messages, with repeats, ends in identical current resources."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.records.county import County, form, observation

A = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
A_LOCAL = {"local": ["L-1"], "name": "李甲", "born": "1980-01-01"}
A_BOTH = {"id": ["39000019800101001X"], "local": ["L-1"], "name": "李甲", "sex": "male"}
CHILD = {"id": ["39000019800101001X"], "name": "李小乙", "sex": "female", "born": "2020-05-05"}
NOBODY = {"id": ["39000019800101001X"]}
B = {"id": ["390000197505050024"], "local": ["L-2"], "name": "王丙", "sex": "female", "born": "1975-05-05"}


def stamp(n: int) -> str:
    """A stamp, later for higher n."""
    return f"2026-01-{n:02d}T08:00:00.000000Z"


def patient(stamp_body: dict[str, Any]) -> dict[str, Any]:
    """A draft of the resident's Patient."""
    return {"type": "Patient", "body": stamp_body}


def messages() -> list[tuple[str, list[dict[str, Any]]]]:
    """(source, records): corrections, vanished parts, shared resources, several claims of one resident, a borrowed card."""
    org = {"type": "Organization", "ns": "org", "value": "39", "compose": "merge", "subject": False}
    plan = {"type": "CarePlan", "ns": "plan", "value": "p", "compose": "latest"}
    return [
        ("his", [form("1", stamp(1), [observation("a", "一"), observation("b", "二")], person=A)]),
        ("his", [form("1", stamp(2), [observation("a", "一改")], person=A)]),
        ("his", [form("1", stamp(3), [observation("a", "一"), observation("c", "三")], person=A)]),
        ("lis", [form("2", stamp(4), [observation("d", "四"), {**org, "body": {"name": "甲院", "alias": ["甲"]}}], person=A_LOCAL)]),
        ("his", [form("3", stamp(5), [{**org, "body": {"name": "甲医院", "telecom": [{"system": "phone", "value": "1"}]}}])]),
        ("lis", [form("4", stamp(6), [{**org, "body": {"name": "甲县医院", "alias": ["乙"]}}, observation("a", "抢")], person=A)]),
        ("lis", [form("5", stamp(7), [patient({"gender": "male", "address": [{"text": "东村"}]})], person=A_BOTH)]),
        ("his", [form("6", stamp(8), [patient({"name": [{"text": "李甲"}], "address": [{"text": "西村"}]})], person=A)]),
        ("his", [form("7", stamp(9), [{**plan, "by": "2026-03", "body": {"status": "active", "title": "三月"}}], person=A)]),
        ("his", [form("8", stamp(10), [{**plan, "by": "2026-01", "body": {"status": "active", "title": "一月"}}], person=A)]),
        ("his", [form("9", stamp(11), [observation("e", "儿童")], person=CHILD)]),
        ("his", [form("10", stamp(12), [observation("f", "无名")], person=NOBODY)]),
        ("his", [form("11", stamp(13), [observation("g", "乙的")], person=B), form("12", stamp(14), [patient({"gender": "female"})], person=B)]),
        ("his", [{**form("v", stamp(n), [{"type": "Encounter", "value": "v", "body": body}], person=B), "dataset": "delta-adt"}
                 for n, body in ((15, {"status": "in-progress", "period": {"start": "2026-01-15"}}), (16, {"length": {"value": 2}}))]),
        ("his", [{**form("v", stamp(17), [{"type": "Encounter", "value": "v", "body": {"status": "finished", "period": {"end": "2026-01-17"}}}],
                         person=B), "dataset": "delta-adt"}]),
        ("his", [{**form("w", stamp(18), [observation("h", "同时甲")], person=B)}]),
        ("his", [{**form("w", stamp(18), [observation("h", "同时乙"), observation("i", "只在乙")], person=B)}]),
    ]  # fmt: skip


def outcome(county: County, order: list[tuple[str, list[dict[str, Any]]]], *, together: bool = False) -> dict[str, Any]:
    """Current resources after these messages; `together` lets them share commits."""
    waiting = []
    for source, records in order:
        future = county.later(*records, source=source)
        if together:
            waiting.append(future)
        else:
            future.result(30)
    for future in waiting:
        future.result(30)
    return county.comparable()


@pytest.mark.parametrize("seed", range(8))
def test_any_order_with_repeats_ends_in_the_same_resources(new_county: Callable[..., County], seed: int) -> None:
    expected = outcome(new_county(), messages())
    assert {n.split(":")[0].split("/")[0] for n in expected} == {"Patient", "Observation", "Organization", "CarePlan", "Encounter"}
    shuffled = messages() + messages()[seed::3]
    random.Random(seed).shuffle(shuffled)
    found = outcome(new_county(), shuffled, together=seed % 2 == 1)
    assert found == expected


def test_the_expected_outcome_is_right(new_county: Callable[..., County]) -> None:
    county = new_county()
    outcome(county, messages())
    current = county.current()
    people = [b for n, b in current.items() if n.startswith("Patient/") and b and b.get("active") is not False]
    assert len(people) == 3  # 李甲, 李小乙 with the borrowed card, 王丙
    org = next(b for n, b in current.items() if n.startswith("Organization/") and b)
    assert org["name"] == "甲县医院"
    assert org["alias"] == ["乙"]
    assert org["telecom"] == [{"system": "phone", "value": "1"}]
    plan = next(b for n, b in current.items() if n.startswith("CarePlan/") and b)
    assert plan["title"] == "三月"
    encounter = next(b for n, b in current.items() if n.startswith("Encounter/") and b)
    assert (encounter["status"], encounter["period"]) == ("finished", {"start": "2026-01-15", "end": "2026-01-17"})
