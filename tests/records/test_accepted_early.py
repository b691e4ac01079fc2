"""A sender that needs only durability (HL7 v2): answered from the store while its source has others in work, mapped in its place."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import Config
from gateway.errors import Finding, TransientError
from gateway.fhir.json import decode
from gateway.pipeline import Gateway
from gateway.pipeline import gateway as gateway_module
from gateway.record import Incoming, Receipt
from gateway.store import holds, messages
from gateway.store.work import Work
from gateway.store.writer import Writer
from tests.records.county import County, StandInCatalogue, form, observation

LI = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
T1 = "2026-01-01T08:00:00.000000Z"
RUNS = itertools.count(1000)


def report(key: str, result: str = "结果", stamp: str = T1, **more: Any) -> bytes:
    """A message of one record."""
    return json.dumps([form(key, stamp, [observation(key, result)], person=LI, **more)], ensure_ascii=False).encode()


def send(county: County, content: bytes, waits_for: Any = "stored") -> Future[Receipt]:
    """One message on its way."""
    return county.gateway.accept("lis", Incoming(content, waits_for=waits_for))


@contextmanager
def busy(county: County) -> Iterator[Callable[[], None]]:
    """The lane of the source has work that goes on until the end, or until the given function is called."""
    gate = threading.Event()
    county.gateway._lane("lis").run(gate.wait)
    first = send(county, report("first"))
    try:
        yield gate.set
    finally:
        gate.set()
        with suppress(TransientError):
            assert first.result(30).state in ("mapped", "repeat")


def settled(county: County) -> dict[str, int]:
    """Messages by state, once none is in work."""
    county.gateway._lane("lis").run(lambda: None).result(30)
    county.gateway.writer.submit(Work()).result(30)
    return dict(county.rows("SELECT state, count(*) FROM message GROUP BY state"))


def test_a_free_lane_answers_with_the_outcome(county: County) -> None:
    receipt = send(county, report("1")).result(30)
    assert (receipt.state, [o.state for o in receipt.outcomes]) == ("mapped", ["written"])


def test_behind_others_it_is_answered_when_it_is_durable_and_mapped_in_its_place(county: County) -> None:
    with busy(county) as go_on:
        receipts = [send(county, report(str(n))).result(30) for n in range(20)]
        assert {r.state for r in receipts} == {"accepted"}
        assert {messages.show(county.database, r.message).state for r in receipts} == {"processing"}
        assert b"".join(messages.content(county.database, receipts[3].message)) == report("3")
        assert county.current() == {}
        assert county.gateway.metrics.registry.get_sample_value("yifang_backlog", {"source": "lis"}) == 20
        go_on()
    assert settled(county) == {"mapped": 21}
    order = county.rows("SELECT message FROM record_version ORDER BY id")
    assert [m for (m,) in order[1:]] == [r.message for r in receipts]
    assert messages.show(county.database, receipts[0].message).rows == 1
    counted = county.gateway.metrics.registry.get_sample_value
    assert (counted("yifang_messages_total", {"source": "lis", "state": "mapped"}), counted("yifang_backlog", {"source": "lis"})) == (21, 0)


def test_a_sender_that_waits_for_the_outcome_gets_it(county: County) -> None:
    with busy(county) as go_on:
        early = send(county, report("1", "甲", stamp=""))
        late = send(county, report("1", "乙", stamp=""), "outcome")
        last = send(county, report("1", "丙", stamp=""))
        assert (early.result(30).state, last.result(30).state, late.done()) == ("accepted", "accepted", False)
        go_on()
        assert late.result(30).state == "mapped"
    settled(county)
    assert county.rows("SELECT max(version) FROM resource WHERE type = 'Observation'") == [(3,)]
    assert [b["code"]["text"] for n, b in county.current().items() if n.startswith("Observation") and b["code"]["text"] != "结果"] == ["丙"]


def test_what_was_refused_by_the_protocol_is_answered_as_before(county: County) -> None:
    with busy(county) as go_on:
        refused = Finding("wrong-sender", "refuse", "MSH-3 不符")
        told = county.gateway.accept("lis", Incoming(b"x", refused=refused, waits_for="stored"))
        go_on()
        assert (told.result(30).state, told.result(30).reason) == ("refused", refused)


def test_the_same_bytes_again_are_a_repeat_of_the_first(county: County) -> None:
    with busy(county) as go_on:
        first, again = send(county, report("1")), send(county, report("1"))
        assert first.result(30).state == "accepted"
        assert not again.done()
        go_on()
        assert (again.result(30).state, again.result(30).message) == ("repeat", first.result(30).message)
    with busy(county) as go_on:
        third = send(county, report("1"))
        go_on()
        assert third.result(30).state == "repeat"
    assert county.rows("SELECT repeats FROM message WHERE id = " + str(first.result(30).message)) == [(2,)]
    assert county.rows("SELECT count(*) FROM message") == [(2,)]


@pytest.mark.parametrize(
    ("content", "state", "code"),
    [(b"<xml/>", "refused", "not-json"), (b'"crash"', "failed", "extract-crash"), (report("1", crash=True), "held", None)],
)
def test_what_cannot_be_mapped_is_found_later(county: County, content: bytes, state: str, code: str | None) -> None:
    with busy(county):
        receipt = send(county, content).result(30)
    assert settled(county) == {"mapped": 1, state: 1}
    stored = messages.show(county.database, receipt.message)
    assert (stored.state, stored.reason.code if stored.reason else None) == (state, code)
    assert [h.code for h in holds.listing(county.database)] == (["map-crash"] if state == "held" else [])
    counted = {"refused": "refused", "failed": "stored", "held": "held"}[state]
    assert county.gateway.metrics.registry.get_sample_value("yifang_messages_total", {"source": "lis", "state": counted}) == 1


def limited(county: County, **store: int) -> County:
    """The county, with a gateway that accepts so much ahead of its records."""
    county.gateway.close()
    county.config = Config(source=county.config.source, store=county.config.store.model_copy(update=store))
    county.gateway = Gateway(county.config, county.database, county.catalogue, county.clock)
    county.gateway.start()
    return county


@pytest.mark.parametrize(("limits", "accepted"), [({"backlog": 3}, 3), ({"backlog": 0}, 0), ({"backlog_bytes": 2 * len(report("1"))}, 2)])
def test_beyond_the_backlog_the_answer_waits_for_the_outcome(county: County, limits: dict[str, int], accepted: int) -> None:
    with busy(limited(county, **limits)) as go_on:
        told = [send(county, report(str(n))) for n in range(6)]
        for early in told[:accepted]:
            assert early.result(30).state == "accepted"
        assert not any(late.done() for late in told[accepted:])
        go_on()
        assert [late.result(30).state for late in told[accepted:]] == ["mapped"] * (6 - accepted)


def test_closing_leaves_what_was_answered_for_the_next_start(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "CLOSING", 0.0)
    with busy(county) as go_on:
        early = [send(county, report("1", word, stamp="")).result(30) for word in ("甲", "乙", "丙")]
        late = send(county, report("1", "丁", stamp=""), "outcome")
        closing = threading.Thread(target=county.gateway.close)
        closing.start()
        while county.gateway._lanes:
            time.sleep(0.01)
        go_on()
        closing.join(30)
    with pytest.raises(TransientError):
        late.result(30)
    assert [messages.show(county.database, r.message).state for r in early] == ["processing"] * 3
    with pytest.raises(TransientError):
        send(county, report("2")).result(30)
    for _ in range(2):  # the second start finds what the first has left
        county.gateway = Gateway(county.config, county.database, StandInCatalogue(), county.clock)
        county.gateway.start()
        county.gateway.close()
    monkeypatch.undo()
    county.gateway = Gateway(county.config, county.database, StandInCatalogue(), county.clock)
    county.gateway.start()
    assert settled(county) == {"mapped": 4}
    assert county.rows("SELECT max(version) FROM resource WHERE type = 'Observation'") == [(3,)]


def test_while_the_database_is_away_what_was_answered_is_not_given_up(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.writer.AGAIN", 0.01)
    away = county.database.away[0]
    faults = [away("disk I/O error")] * 12
    real = Writer._work

    def failing(writer: Writer, raw: Any, works: list[Work]) -> Any:
        if faults and any(w.ahead for w in works):
            raise faults.pop()
        return real(writer, raw, works)

    with busy(county):
        receipts = [send(county, report(str(n))).result(30) for n in range(5)]
        monkeypatch.setattr(Writer, "_work", failing)
    while faults:
        time.sleep(0.01)
    settled(county)
    mapped = [m for (m,) in county.rows("SELECT message FROM record_version ORDER BY id")]
    assert [m for m in mapped if m in {r.message for r in receipts}] == [r.message for r in receipts]


def test_a_bug_in_writing_ends_as_failed_and_stops_nothing_else(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Writer._one

    def failing(writer: Writer, unit: Any, applier: Any, work: Work) -> Any:
        if any(i.record.key == ("2",) for i in work.items):
            raise ZeroDivisionError
        return real(writer, unit, applier, work)

    monkeypatch.setattr(Writer, "_one", failing)
    with busy(county):
        receipts = [send(county, report(str(n))).result(30) for n in range(4)]
    settled(county)
    assert settled(county) == {"mapped": 4, "failed": 1}
    stored = messages.show(county.database, receipts[2].message)
    assert stored.reason is not None
    assert (stored.state, stored.reason.code) == ("failed", "extract-crash")
    monkeypatch.undo()
    assert county.gateway.replay(receipts[2].message).result(30).state == "mapped"


def test_a_message_that_another_process_finished_meanwhile_stays_as_that_one_saw_it(county: County) -> None:
    other = Gateway(county.config, county.database, StandInCatalogue(), county.clock)
    with busy(county) as go_on:
        receipt = send(county, report("1", findings=[{"code": "doubt", "severity": "hold", "message": "存疑"}])).result(30)
        other.writer.start()
        assert other.resume() == 1
        other.close()
        assert messages.show(county.database, receipt.message).state == "held"
        go_on()
    assert settled(county) == {"mapped": 1, "held": 1}
    assert len(holds.listing(county.database)) == 1


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("甲乙丙"), st.booleans()), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whichever_way_messages_take_their_order_is_that_of_acceptance(county: County, sent: list[tuple[str, str, bool]]) -> None:
    """Records without a stamp, so that the order of arrival alone decides: what equals the current version is a repeat."""
    run = str(next(RUNS))
    expected: dict[str, list[str]] = {"a": [], "b": []}
    with busy(county):
        told = [send(county, report(run + key, word, stamp=""), "stored" if early else "outcome") for key, word, early in sent]
    for (key, word, _), answer in zip(sent, told, strict=True):
        assert answer.result(30).state in ("accepted", "mapped", "repeat")
        if expected[key][-1:] != [word]:
            expected[key].append(word)
    settled(county)
    versions = "SELECT version, content FROM resource UNION ALL SELECT h.version, h.content FROM resource_history h ORDER BY version"
    found: dict[str, list[str]] = {"a": [], "b": []}
    for _, content in county.rows(versions):
        body = decode(bytes(content))
        value = body["identifier"][0]["value"] if body["resourceType"] == "Observation" else ""
        if value.startswith(run) and value[len(run) :] in found:
            found[value[len(run) :]].append(body["code"]["text"])
    assert found == expected
    assert county.rows("SELECT count(*) FROM message WHERE state = 'processing'") == [(0,)]
