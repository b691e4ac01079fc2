"""The pipeline: durable messages, refusals, crashes, large files, replay, re-map, map sets, sources, outbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Finding, NotFound
from gateway.record import Incoming
from gateway.store import deliveries, events, holds, messages, settlement
from gateway.store.settlement import Sent
from tests.records.county import County, StandInCatalogue, form, observation

LI = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
T1, T2 = "2026-01-01T08:00:00.000000Z", "2026-01-02T08:00:00.000000Z"


@pytest.fixture
def county(tmp_path: Path) -> Any:
    """One running county on SQLite with small chunks and one destination."""
    with County(tmp_path, chunk=4096, destinations=["hapi"]) as made:
        yield made


def readings(n: int) -> list[dict[str, Any]]:
    """Records of one resident."""
    return [form(str(i), T1, [observation(str(i), f"读数{i}")], person=LI) for i in range(n)]


def test_the_original_is_kept_unchanged(county: County) -> None:
    content = json.dumps(readings(1), ensure_ascii=False).encode()
    receipt = county.gateway.accept("his", Incoming(content, name="a.json", peer="10.0.0.1")).result(30)
    assert b"".join(messages.content(county.database, receipt.message)) == content
    assert messages.show(county.database, receipt.message).name == "a.json"


def test_a_refused_message_is_kept_and_answered(county: County) -> None:
    receipt = county.gateway.accept("his", Incoming(b"<xml/>")).result(30)
    assert receipt.state == "refused"
    assert receipt.reason is not None
    assert receipt.reason.code == "not-json"
    assert b"".join(messages.content(county.database, receipt.message)) == b"<xml/>"
    again = county.gateway.accept("his", Incoming(b"<xml/>")).result(30)
    assert again.message == receipt.message
    assert messages.show(county.database, receipt.message).repeats == 1


def test_what_the_protocol_refused_is_kept_without_being_mapped(county: County) -> None:
    refused = Finding("too-large", "refuse", "报文过大")
    receipt = county.gateway.accept("his", Incoming(json.dumps(readings(1)).encode(), refused=refused)).result(30)
    assert (receipt.state, receipt.reason) == ("refused", refused)
    assert county.current() == {}


def test_a_crash_while_reading_keeps_the_message_for_replay(county: County) -> None:
    receipt = county.gateway.accept("his", Incoming(b'"crash"')).result(30)
    assert receipt.state == "stored"
    assert messages.show(county.database, receipt.message).state == "failed"
    assert "bug" not in str(receipt.reason)


def test_a_map_that_crashes_on_one_record_holds_that_record_only(county: County) -> None:
    receipt = county.send(form("1", T1, [], person=LI, crash=True), *readings(1)[0:1])
    assert [o.state for o in receipt.outcomes] == ["held", "written"]
    assert holds.listing(county.database)[0].code == "map-crash"


def test_a_large_file_is_stored_in_chunks_and_mapped_in_batches(county: County) -> None:
    content = json.dumps(readings(450), ensure_ascii=False).encode()
    receipt = county.gateway.accept("his", Incoming(lambda: BytesIO(content), name="big.json", checkpoint="7")).result(60)
    assert receipt.state == "mapped"
    assert receipt.tally.records == {"written": 450}
    stored = messages.show(county.database, receipt.message)
    assert (stored.size, stored.rows, stored.state) == (len(content), 450, "mapped")
    assert b"".join(messages.content(county.database, receipt.message)) == content
    assert county.gateway.checkpoint("his") == "7"
    again = county.gateway.accept("his", Incoming(lambda: BytesIO(content), name="big.json")).result(60)
    assert (again.state, again.message) == ("repeat", receipt.message)
    assert county.rows("SELECT count(*) FROM message") == [(1,)]


def test_a_stored_file_is_read_from_any_place(county: County) -> None:
    """A workbook's directory stands at its end."""
    content = json.dumps(readings(300), ensure_ascii=False).encode()
    receipt = county.gateway.accept("his", Incoming(lambda: BytesIO(content))).result(60)
    stored = messages.opened(county.database, messages.show(county.database, receipt.message), 4096)
    assert not isinstance(stored, bytes)
    assert stored.read() == content
    places = [(-100, 2, len(content) - 100), (5000, 0, 5000), (-4999, 1, 3001), (0, 0, 0), (4096, 0, 4096), (10, 2, len(content) + 10)]
    for offset, whence, start in places:
        assert stored.seek(offset, whence) == start
        assert stored.read(3000) == content[start : start + 3000]
        stored.seek(start + 3000)


def test_a_message_left_half_mapped_by_a_crash_is_finished_at_start(county: County, tmp_path: Path) -> None:
    content = json.dumps(readings(450), ensure_ascii=False).encode()
    receipt = county.gateway.accept("his", Incoming(lambda: BytesIO(content))).result(60)
    with county.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE message SET state = 'processing', rows = 200")
        connection.exec_driver_sql("DELETE FROM record_version WHERE row >= 400")
        connection.exec_driver_sql("DELETE FROM record WHERE id NOT IN (SELECT record FROM record_version)")
        for table in ("resource", "contribution"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE record NOT IN (SELECT id FROM record)")
    assert county.gateway.resume() == 1
    assert messages.show(county.database, receipt.message).state == "mapped"
    assert county.rows("SELECT count(*) FROM record_version WHERE row >= 400") == [(50,)]
    assert len([n for n in county.current() if n.startswith("Observation/")]) == 450


def test_replay_maps_a_message_with_the_mended_map(county: County) -> None:
    receipt = county.send(form("1", T1, [observation("a", "旧")], person=LI))
    mended = StandInCatalogue("map-2", {"note": [{"text": "新映射"}]})
    county.gateway.activate(b"map-2", "map-2", mended)
    again = county.gateway.replay(receipt.message).result(30)
    assert [o.state for o in again.outcomes] == ["written"]
    assert county.one("Observation")["note"] == [{"text": "新映射"}]
    with pytest.raises(NotFound):
        county.gateway.replay(999)


def test_remap_previews_then_changes_current_versions_only(county: County) -> None:
    county.send(form("1", T1, [observation("a", "旧")], person=LI))
    county.send(form("1", T2, [observation("a", "新")], person=LI))
    county.gateway.activate(b"map-2", "map-2", StandInCatalogue("map-2", {"note": [{"text": "新映射"}]}))
    before = county.current()
    preview = county.gateway.remap(preview=True)
    assert (preview.records, len(preview.updated), preview.created, preview.deliveries) == (1, 1, [], 1)
    assert county.current() == before
    report = county.gateway.remap(preview=False)
    assert report.updated == preview.updated
    assert county.one("Observation")["note"] == [{"text": "新映射"}]
    assert county.one("Observation")["code"] == {"text": "新"}
    assert county.gateway.remap(preview=True).records == 0


def test_every_process_follows_the_active_map_set(county: County) -> None:
    other = County.__new__(County)
    other.__dict__.update(county.__dict__)
    other.gateway = type(county.gateway)(county.config, county.database, StandInCatalogue(), county.clock)
    with other.gateway:
        other.gateway.follow(lambda snapshot: StandInCatalogue(snapshot.decode(), {"note": [{"text": snapshot.decode()}]}))
        county.gateway.activate(b"map-2", "map-2", StandInCatalogue("map-2"))
        other.gateway._looked = 0.0
        other.send(form("1", T1, [observation("a", "一")], person=LI))
        assert county.one("Observation")["note"] == [{"text": "map-2"}]


def test_quality_control_goes_to_its_table_and_to_no_patient(county: County) -> None:
    receipt = county.send(form("qc-1", T1, [], destination="quality_control", item="GLU"))
    assert receipt.state == "mapped"
    assert county.current() == {}
    [(fields,)] = county.rows("SELECT fields FROM quality_control")
    assert json.loads(fields)["item"] == "GLU"


def test_deliveries_are_owed_by_lane_and_an_item_is_sent_once(county: County) -> None:
    organisation = {"type": "Organization", "ns": "org", "value": "39", "compose": "merge", "subject": False, "body": {"name": "甲院"}}
    county.send(form("1", T1, [observation("a", "一"), organisation], person=LI))
    now = county.clock.now()
    lanes = deliveries.claim(county.database, "hapi", "w", now, timedelta(minutes=1), 8)
    assert [lane.name == "shared" for lane in lanes] == [True, False]
    assert {t for lane in lanes for d in lane.deliveries for t, _ in d.items} == {"Organization", "Patient", "Observation"}
    assert deliveries.claim(county.database, "hapi", "v", now, timedelta(minutes=1), 8) == []
    county.send(form("1", T2, [observation("a", "二"), organisation], person=LI))
    for lane in lanes:
        items = [i for d in lane.deliveries for i in d.items]
        with settlement.writing(county.database) as raw:
            here = deliveries.current(raw, "hapi", items)
            settlement.keep(raw, "hapi", [Sent(c.type, c.id, c.version, str(c.version)) for c in here])
            settlement.close(raw, "hapi", lane.worker, [d.id for d in lane.deliveries], [lane.name], deliveries.micro(now))
    [lane] = deliveries.claim(county.database, "hapi", "w", county.clock.now(), timedelta(minutes=1), 8)
    with settlement.reading(county.database) as raw:
        [item] = deliveries.current(raw, "hapi", [i for d in lane.deliveries for i in d.items])
    assert (item.type, item.version, item.delivered) == ("Observation", 2, 2)  # the newest version went with the first row
    deliveries.retry(county.database, lane, county.clock.now() + timedelta(hours=1), "503")
    assert deliveries.claim(county.database, "hapi", "w", county.clock.now(), timedelta(minutes=1), 8) == []
    [queue] = deliveries.queue(county.database)
    assert (queue.waiting, queue.blocked, queue.paused) == (1, 0, None)


def test_a_lease_that_ran_out_is_taken_over(county: County) -> None:
    county.send(*readings(1))
    now = county.clock.now()
    [first] = deliveries.claim(county.database, "hapi", "w", now, timedelta(seconds=5), 8)
    [second] = deliveries.claim(county.database, "hapi", "v", now + timedelta(seconds=6), timedelta(seconds=5), 8)
    assert (first.name, second.worker) == (second.name, "v")
    assert not deliveries.renew(county.database, "hapi", [first.name], first.worker, now + timedelta(minutes=1))


def test_a_paused_destination_gets_nothing_until_resumed(county: County) -> None:
    county.send(*readings(1))
    deliveries.pause(county.database, "hapi", "401", county.clock.now())
    assert deliveries.claim(county.database, "hapi", "w", county.clock.now(), timedelta(minutes=1), 8) == []
    assert deliveries.queue(county.database)[0].paused == "401"
    deliveries.resume(county.database, "hapi", county.clock.now())
    assert len(deliveries.claim(county.database, "hapi", "w", county.clock.now(), timedelta(minutes=1), 8)) == 1


def test_sources_tell_their_last_word_and_silence(county: County) -> None:
    county.send(*readings(3), source="lis")
    status = {s.name: s for s in county.gateway.sources()}
    assert (status["lis"].messages, status["lis"].records, status["lis"].resources) == (1, 3, 3)
    assert status["his"].last_word is None


def test_an_intake_answers_after_the_commit(county: County) -> None:
    async def send() -> str:
        receipt = await county.gateway.intake("his").accept(Incoming(json.dumps(readings(1)).encode(), checkpoint="9"))
        return receipt.state

    assert asyncio.run(send()) == "mapped"
    assert county.gateway.intake("his").checkpoint() == "9"


def test_the_feed_gives_events_in_commit_order(county: County) -> None:
    for record in readings(3):
        county.send(record)
    with county.database.engine.connect() as connection:
        first = events.feed(connection, limit=2)
        rest = events.feed(connection, after=first[-1].seq)
    assert [e.kind for e in first + rest] == ["written"] * 3


def test_a_failing_message_does_not_fail_its_neighbours(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.store.apply import Applier

    apply = Applier.apply

    def fails(self: Applier, item: Any, **more: Any) -> Any:
        if item.record.key == ("bad",):
            raise RuntimeError("bug")
        return apply(self, item, **more)

    monkeypatch.setattr(Applier, "apply", fails)
    futures = [county.later(form(k, T1, [observation(k, k)], person=LI), source=s) for k, s in (("1", "his"), ("bad", "lis"), ("2", "his"))]
    assert futures[0].result(30).state == "mapped"
    assert futures[2].result(30).state == "mapped"
    with pytest.raises(RuntimeError):
        futures[1].result(30)


def test_metrics_count_what_came(county: County) -> None:
    county.send(*readings(2))
    value: Callable[..., float | None] = county.gateway.metrics.registry.get_sample_value
    assert value("yifang_messages_total", {"source": "his", "state": "mapped"}) == 1
    assert value("yifang_records_total", {"source": "his", "state": "written"}) == 2
