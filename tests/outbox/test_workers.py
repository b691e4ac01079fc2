"""Several workers, leases that are lost or kept, and a crash between sending and keeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from gateway.store import deliveries, settlement
from gateway.store.settlement import Sent
from tests.outbox.server import Server
from tests.outbox.town import Town, bundle_of
from tests.records.county import County, observation


def test_several_workers_never_send_one_resource_at_once(new_county: Callable[..., County], concurrent: HTTPServer) -> None:
    town = Town(new_county(destinations=["hapi"]), concurrent)
    for n in range(60):
        town.send(f"k{n}", "1", observation(f"o{n}", "A"), person=f"P{n}")
        town.send(f"k{n}", "2", observation(f"o{n}", "B"), person=f"P{n}")
    busy: set[str] = set()
    clash: list[str] = []
    together = 0
    lock = threading.Lock()

    def watched(server: Server, request: Request) -> Response:
        urls = {e["request"]["url"] for e in bundle_of(request)["entry"]}
        nonlocal together
        with lock:
            server.faults.append(watched)
            clash.extend(urls & busy)
            together = max(together, bool(urls - busy) and len(busy))
            busy.update(urls)
        time.sleep(0.1)
        with lock:
            busy.difference_update(urls)
            return server.commit(bundle_of(request))

    town.server.faults = [watched] * 4
    stop = threading.Event()
    workers = [threading.Thread(target=town.sender.run, args=(stop, str(n), 0.02)) for n in range(3)]
    for w in workers:
        w.start()
    deadline = time.monotonic() + 30
    while town.waiting() and time.monotonic() < deadline:
        town.county.clock.advance(timedelta(seconds=1))
        time.sleep(0.05)
    stop.set()
    for w in workers:
        w.join(10)
    assert clash == []
    assert together, "the workers did not work at the same time"
    town.whole(120)
    assert set(town.server.versions.values()) == {1}


def test_a_lost_lease_ends_the_round(town: Town) -> None:
    for n in range(6):
        town.send(f"k{n}", "1", observation(f"o{n}", "c"), person="P1")

    def slow(server: Server, request: Request) -> Response:
        town.county.clock.advance(timedelta(minutes=5))
        [taken] = deliveries.claim(town.county.database, "hapi", "other", town.county.clock.now(), timedelta(minutes=30), 9)
        assert taken.worker == "other"
        return server.commit(bundle_of(request))

    town.server.faults = [slow]
    sender = town.another(max_entries=2)
    sender.step("slow")
    assert len(town.server.transactions) == 1, "the rest is the other worker's"
    town.county.clock.advance(timedelta(hours=1))
    town.drain()
    town.whole(7)


def test_a_long_round_keeps_its_lease(town: Town) -> None:
    for n in range(6):
        town.send(f"k{n}", "1", observation(f"o{n}", "c"), person="P1")

    def slow(server: Server, request: Request) -> Response:
        town.county.clock.advance(timedelta(seconds=40))
        assert deliveries.claim(town.county.database, "hapi", "other", town.county.clock.now(), timedelta(minutes=30), 9) == []
        return server.commit(bundle_of(request))

    town.server.faults = [slow] * 4
    town.another(max_entries=2).step("slow")
    assert len(town.server.transactions) == 4
    town.whole(7)


def test_a_crash_between_sending_and_keeping_is_harmless(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.send("a", "1", observation("o", "A"))
    town.drain()
    town.send("a", "2", observation("o", "B"))
    town.send("b", "1", observation("p", "A"), person="P1")

    class Crash(BaseException):
        """The process is killed."""

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(settlement, "keep", crash)
        with pytest.raises(Crash):
            town.sender.step("first life")
    restarted = town.another()
    if town.county.database.dialect == "sqlite":
        restarted.recover()
    else:
        assert not restarted.step("second life"), "another process may still be at it"
        town.county.clock.advance(timedelta(minutes=2))
    town.drain(restarted)
    assert town.server.versions[town.url("Observation", "o")] == 2
    assert town.faults() == []
    town.whole(3)


def test_when_two_workers_sent_the_same_resource_the_later_etag_tells_what_stands_there(town: Town) -> None:
    town.send("a", "1", observation("o", "A"))
    town.drain()
    town.send("a", "2", observation("o", "B"))
    name = ("Observation", town.id("Observation", "o"))
    with settlement.writing(town.county.database) as raw:
        assert settlement.keep(raw, "hapi", [Sent(*name, 2, "2", seen=(1, "1"))]) == []
        assert settlement.keep(raw, "hapi", [Sent(*name, 1, "3", seen=(1, "1"))]) == [name], "the older version arrived last"
        assert raw.rows("SELECT version, etag FROM delivered") == [(1, "3")]
        assert settlement.keep(raw, "hapi", [Sent(*name, 2, "2", seen=(1, "1"))]) == [name], "whoever of them says so last"
        assert raw.rows("SELECT version, etag FROM delivered") == [(1, "3")]
        assert settlement.keep(raw, "hapi", [Sent(*name, 2, "1", seen=(1, "3"))]) == [], "an emptied server counts from the beginning"
        assert raw.rows("SELECT version, etag FROM delivered") == [(2, "1")]
