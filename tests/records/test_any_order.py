"""design/records.md as a property: whatever small set of messages, in whatever order, with whatever repeats, the same resources stand.

Hypothesis draws the messages (snapshot and delta records, corrections, shared resources, residents with strong, local or no agreeing
numbers) and the order; a county on SQLite takes them in both orders.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.records.county import County, form

Message = tuple[str, dict[str, Any]]
PERSONS: list[dict[str, Any]] = [
    {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"},
    {"local": ["L-1"], "name": "李甲", "born": "1980-01-01"},
    {"id": ["39000019800101001X"], "local": ["L-1"], "name": "李甲", "sex": "male"},
    {"id": ["390000197505050024"], "name": "王丙", "sex": "female", "born": "1975-05-05"},
]
_COUNT = itertools.count()


def draft(kind: str, value: str, word: str) -> dict[str, Any]:
    """A draft of the resource `value` of this kind, saying `word`."""
    kinds: dict[str, dict[str, Any]] = {
        "one": {"type": "Observation", "value": value, "body": {"status": "final", "code": {"text": word}}},
        "merge": {"type": "Organization", "ns": "org", "value": value, "compose": "merge", "subject": False, "body": {"name": word, "alias": [word]}},
        "latest": {"type": "CarePlan", "ns": "plan", "value": value, "compose": "latest", "by": word, "body": {"status": "active", "title": word}},
        "patient": {"type": "Patient", "body": {"address": [{"text": word}]}},
    }
    return kinds[kind]


drafts = st.lists(
    st.builds(draft, st.sampled_from(["one", "merge", "latest", "patient"]), st.sampled_from("ab"), st.sampled_from("甲乙丙")),
    min_size=1, max_size=3, unique_by=lambda d: (d["type"], d.get("value", "")),
)  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> list[Message]:
    """Up to seven messages of up to three records; a record stays with its person, and stamps are all different."""
    sent = []
    person_of = draw(st.lists(st.sampled_from(range(len(PERSONS))), min_size=3, max_size=3))
    for n in range(draw(st.integers(2, 7))):
        record = draw(st.integers(0, 2))
        delta = record == 2
        content = [d for d in draw(drafts) if not (delta and d["type"] == "Patient")] or [draft("one", "a", "丁")]
        if delta:
            content = [{**d, "value": "δ", "ns": "delta"} for d in content[:1]]
        else:  # a key of its own for what only one record may write
            content = [{**d, "value": f"{d['value']}{record}"} if d["type"] == "Observation" else d for d in content]
        source = ("his", "lis", "his")[record]
        said = form(f"k{record}", f"2026-01-{n + 1:02d}T08:00:00.000000Z", content, person=PERSONS[person_of[record]])
        sent.append((source, {**said, "dataset": "delta-form"} if delta else said))
    return sent


def stands(order: Sequence[Message], folder: Path, *, together: bool) -> dict[str, Any]:
    """What stands in an empty county after these messages."""
    with County(folder / str(next(_COUNT))) as county:
        waiting = [county.later(record, source=source) for source, record in order[: None if together else 0]]
        for future in waiting:
            future.result(30)
        if not together:
            for source, record in order:
                county.send(record, source=source)
        return county.comparable()


@pytest.mark.slow  # test_order.py shuffles by itself
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages(), st.data())
def test_any_order_with_repeats_of_any_messages_ends_in_the_same_resources(sent: list[Message], data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(sent), max_size=3))
    order = data.draw(st.permutations([*sent, *repeats]))
    with tempfile.TemporaryDirectory() as folder:
        expected = stands(sent, Path(folder), together=False)
        assert stands(order, Path(folder), together=data.draw(st.booleans())) == expected
