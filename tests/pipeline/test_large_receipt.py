"""The receipt of a message of very many records stays small."""

from __future__ import annotations

import pytest

from gateway.pipeline import ingest
from gateway.pipeline.ingest import gather
from gateway.record import RecordOutcome
from gateway.store.work import Answer


def test_resources_are_named_up_to_a_number_of_records_and_counted_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "LISTED", 3)
    wrote = (("Observation", "a", 1), ("Patient", "b", 2))
    outcomes: list[RecordOutcome] = []
    unlisted = 0
    for batch in range(2):
        rows = [RecordOutcome(f"第{batch * 2 + n}行", "d", ("k",), "written", resources=wrote) for n in range(2)]
        unlisted += gather(outcomes, Answer(1, "mapped", rows, [], 0))
    assert [o.position for o in outcomes] == ["第0行", "第1行", "第2行", "第3行"]
    assert [len(o.resources) for o in outcomes] == [2, 2, 2, 0]
    assert unlisted == 2
