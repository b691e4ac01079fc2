"""The receipt of a message of very many records stays small, and the store tells every one of them."""

from __future__ import annotations

import json

import pytest

from gateway.errors import Finding
from gateway.pipeline import ingest, listing
from gateway.pipeline.listing import Listing
from gateway.record import Incoming, RecordOutcome, Tally
from gateway.store import holds, messages
from gateway.store import outcomes as stored
from gateway.store.outcomes import counts, outcomes
from tests.records.county import County, form, observation

LI = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
T1, T2 = "2026-01-01T08:00:00.000000Z", "2026-01-02T08:00:00.000000Z"

HOLD = Finding("odd", "hold", "why")
WROTE = (("Observation", "a", 1), ("Patient", "b", 2))


def rows(*states: str) -> list[RecordOutcome]:
    found = [RecordOutcome(f"第{n}行", "d", ("k",), state) for n, state in enumerate(states)]
    for outcome in found:
        outcome.findings = () if outcome.state == "written" else (HOLD,)
        outcome.resources = WROTE if outcome.state == "written" else ()
    return found


def test_the_first_records_are_listed_and_of_the_others_those_that_need_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LISTED", 2)
    found = Listing()
    found.add(rows("written", "written", "written", "held"))
    found.add(rows("written", "refused", "held", "written"))
    assert [o.state for o in found.outcomes] == ["written", "written", "held", "refused"]
    assert found.rest == Tally({"written": 3, "held": 1}, {"hold": 1}, 6)
    assert found.reason is HOLD
    assert not found.repeated


@pytest.mark.parametrize(("states", "repeated"), [((), False), (("repeat",) * 4, True), (("repeat", "repeat", "repeat", "written"), False)])
def test_a_message_is_a_repeat_when_all_its_records_are(monkeypatch: pytest.MonkeyPatch, states: tuple[str, ...], repeated: bool) -> None:
    monkeypatch.setattr(listing, "LISTED", 2)
    found = Listing()
    found.add(rows(*states))
    assert found.repeated is repeated


def readings(count: int, *, first: int = 0) -> list[dict[str, object]]:
    return [form(str(n), T1, [observation(str(n), f"读数{n}")], person=LI) for n in range(first, first + count)]


def send(county: County, records: list[dict[str, object]]) -> int:
    receipt = county.gateway.accept("his", Incoming(json.dumps(records, ensure_ascii=False).encode())).result(60)
    assert receipt.tally.records.total() == len(records)
    return receipt.message


def test_a_small_file_of_many_records_is_mapped_in_batches_and_tells_all(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "AT_ONCE", 10)
    monkeypatch.setattr(ingest, "BATCH", 4)
    monkeypatch.setattr(listing, "LISTED", 3)
    monkeypatch.setattr(stored, "PAGE", 5)
    content = json.dumps(readings(23), ensure_ascii=False).encode()
    receipt = county.gateway.accept("his", Incoming(content)).result(60)
    assert (receipt.state, len(receipt.outcomes), receipt.tally.records) == ("mapped", 3, {"written": 23})
    assert [found.row for found in outcomes(county.database, receipt.message)] == list(range(23))
    assert [found.row for found in outcomes(county.database, receipt.message, after=19)] == [20, 21, 22]
    assert messages.show(county.database, receipt.message).rows == 23
    again = county.gateway.accept("his", Incoming(content)).result(60)
    assert (again.state, again.message, again.tally.records) == ("repeat", receipt.message, {"repeat": 23})


def test_a_row_that_is_a_repeat_stands_with_its_own_message(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "PAGE", 2)
    first = send(county, readings(4))
    second = send(county, [*readings(2), form("9", T2, [observation("9", "读数")], person=LI), *readings(2)])
    found = list(outcomes(county.database, second))
    assert [(f.row, f.outcome.state, f.outcome.position) for f in found] == [
        (0, "repeat", "记录 1"),
        (1, "repeat", "记录 2"),
        (2, "written", "记录 3"),
        (3, "repeat", "记录 4"),
        (4, "repeat", "记录 5"),
    ]
    assert counts(county.database, second) == {"written": 1, "repeat": 4}
    assert counts(county.database, first) == {"written": 4}


def test_a_replay_tells_each_row_once_and_repeats_stay_repeats(county: County) -> None:
    first = send(county, readings(3))
    second = send(county, [*readings(1), *readings(1, first=7)])
    for _ in range(2):
        county.gateway.replay(first).result(60)
        county.gateway.replay(second).result(60)
    assert [f.row for f in outcomes(county.database, first)] == [0, 1, 2]
    assert counts(county.database, first).get("repeat") is None
    assert [f.row for f in outcomes(county.database, second)] == [0, 1]
    assert counts(county.database, second)["repeat"] == 1


def test_a_replay_settles_held_rows_beyond_those_that_are_listed(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held of rows that still make the same record stays open, however few of them the receipt lists."""
    monkeypatch.setattr(listing, "LISTED", 1)
    held = [form(str(n), T1, [], person=LI, findings=[{"code": "odd", "severity": "hold", "message": "why"}]) for n in range(4)]
    message = send(county, held)
    receipt = county.gateway.replay(message).result(60)
    assert (receipt.state, len(receipt.outcomes)) == ("held", 2)
    assert counts(county.database, message) == {"held": 4}
    assert len(holds.listing(county.database)) == 4
