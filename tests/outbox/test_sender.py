"""The sender against faults of server and network, on the real store filled through the real pipeline, on both engines."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from gateway.config import DestinationConfig
from gateway.outbox import owed
from gateway.outbox.reconcile import Reconciliation, reconcile
from gateway.outbox.sender import Sender
from gateway.outbox.state import State
from gateway.store import deliveries, settlement
from gateway.store.settlement import Sent
from gateway.upstream import FhirServer
from tests.outbox.server import Fault, Server, lost_reply
from tests.records.conftest import ENGINES, new_county  # noqa: F401 - the fixture, on both engines
from tests.records.county import County, form, observation

assert ENGINES


class Town:
    """A county, a server with HAPI's habits, and a sender between them."""

    def __init__(self, county: County, httpserver: HTTPServer) -> None:
        self.county = county
        self.server = Server(httpserver)
        self.sender = self.another()

    def another(self, **settings: Any) -> Sender:
        """A sender of a process that starts now."""
        destination = DestinationConfig.model_validate({"name": "hapi", "url": self.server.url, "timeout": 2, **settings})
        server = FhirServer(destination, self.county.clock.now)
        return Sender(self.county.database, destination, server, self.county.config.base, self.county.clock, lambda: 0.5)

    def send(self, key: str, stamp: str, *drafts: dict[str, Any], person: str = "") -> None:
        more = {"person": {"local": [person]}} if person else {}
        self.county.send(form(key, stamp, drafts, **more))

    def drain(self, sender: Sender | None = None, seconds: float = 1) -> None:
        """Steps until nothing is due for some seconds."""
        for _ in range(60):
            if not (sender or self.sender).step():
                self.county.clock.advance(timedelta(seconds=seconds))
                if not (sender or self.sender).step():
                    return
        raise AssertionError("deliveries do not come to an end")

    def id(self, type_: str, value: str) -> str:
        return self.county.gateway.context.ids.derive(type_, "x", [value])

    def url(self, type_: str, value: str) -> str:
        return f"{type_}/{self.id(type_, value)}"

    def report(self) -> Reconciliation:
        return reconcile(self.county.database, "hapi", self.sender.server, self.county.config.base)

    def whole(self, held: int) -> None:
        """Everything is there, once and as it is here."""
        report = self.report()
        assert (report.lost, report.different, report.waiting, report.unsettled) == ([], [], 0, 0)
        assert (report.equal, report.held) == (held, held)

    def waiting(self) -> int:
        return sum(q.waiting for q in deliveries.queue(self.county.database))


@pytest.fixture
def town(new_county: Callable[..., County], httpserver: HTTPServer) -> Town:  # noqa: F811 - the fixture
    return Town(new_county(destinations=["hapi"]), httpserver)


def bundle_of(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.data)
    return body


def test_what_the_pipeline_wrote_arrives_and_the_second_time_nothing_goes_up(town: Town) -> None:
    town.send("a", "1", observation("o1", "c"), observation("o2", "c"), person="P1")
    town.send("b", "1", observation("o3", "c"), person="P2")
    town.drain()
    town.whole(5)
    sent = len(town.server.transactions)
    town.send("a", "1", observation("o1", "c"), observation("o2", "c"), person="P1")
    town.drain()
    assert len(town.server.transactions) == sent


def test_a_b_a_arrives_as_three_versions(town: Town) -> None:
    for stamp, code in (("1", "A"), ("2", "B"), ("3", "A")):
        town.send("a", stamp, observation("o", code))
        town.drain()
    assert town.server.versions[town.url("Observation", "o")] == 3
    town.whole(1)


def test_versions_that_were_not_sent_yet_are_skipped(town: Town) -> None:
    for stamp in "1234":
        town.send("a", stamp, observation("o", stamp))
    town.drain()
    assert town.server.versions[town.url("Observation", "o")] == 1
    town.whole(1)


def test_a_burst_of_503_is_waited_out_with_growing_pauses(town: Town) -> None:
    town.send("a", "1", observation("o", "c"))
    town.server.faults = [503, 503, 503]
    pauses = []
    while town.waiting():
        before = town.county.clock.now()
        while not town.sender.step():
            town.county.clock.advance(timedelta(seconds=0.25))
            assert town.county.clock.now() - before < timedelta(minutes=1)
        pauses.append((town.county.clock.now() - before).total_seconds())
    assert pauses == sorted(pauses)
    assert pauses[0] == 0 < pauses[1] < pauses[3]
    town.whole(1)


def test_a_503_holds_back_the_whole_destination(town: Town) -> None:
    for n in range(40):
        town.send(f"k{n}", "1", observation(f"o{n}", "c"), person=f"P{n}")
    town.server.faults = [503]
    assert town.sender.step()
    assert not town.sender.step(), "other lanes do not go on hammering"
    town.drain(seconds=5)
    town.whole(80)


@pytest.mark.parametrize("form_", ["seconds", "date"])
def test_429_waits_as_long_as_the_server_asks(town: Town, form_: str) -> None:
    town.send("a", "1", observation("o", "c"))
    moment = town.county.clock.now() + timedelta(seconds=90)
    asked = "90" if form_ == "seconds" else moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
    town.server.faults = [lambda server, request: Response(status=429, headers={"Retry-After": asked})]
    town.sender.step()
    town.county.clock.advance(timedelta(seconds=88))
    assert not town.sender.step()
    town.county.clock.advance(timedelta(seconds=3))
    assert town.sender.step()
    town.whole(1)


def test_an_answer_lost_after_the_commit_is_harmless(town: Town) -> None:
    town.send("a", "1", observation("o", "A"))
    town.drain()
    town.send("a", "2", observation("o", "B"))
    town.server.faults = [lost_reply]
    town.drain(seconds=3)
    assert town.server.versions[town.url("Observation", "o")] == 2
    assert State(town.county.database, "hapi").any_faults() is False
    town.whole(1)


class Proxy:
    """Between sender and server: passes the first exchange on but cuts its answer, then passes everything on."""

    def __init__(self, target: str, cut: Callable[[bytes, socket.socket], None]) -> None:
        self.host, port = target.split("/")[2].split(":")
        self.port = int(port)
        self.cut: Callable[[bytes, socket.socket], None] | None = cut
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/fhir"
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            with connection:
                request = b""
                while not _complete(request):
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    request += piece
                if not request:
                    return
                with socket.create_connection((self.host, self.port)) as server:
                    server.sendall(request.replace(b"keep-alive", b"close"))
                    answer = b"".join(iter(lambda: server.recv(65536), b""))
                cut, self.cut = self.cut, None
                if cut is not None:
                    cut(answer, connection)
                else:
                    connection.sendall(answer)

    def close(self) -> None:
        socket.create_connection(self.listener.getsockname()).close()
        self.thread.join(5)
        self.listener.close()


def _complete(request: bytes) -> bool:
    head, blank, body = request.partition(b"\r\n\r\n")
    length = next((int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0)
    return bool(blank) and len(body) >= length


def reset(answer: bytes, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half(answer: bytes, connection: socket.socket) -> None:
    connection.sendall(answer[: len(answer) - 20])


def stall(answer: bytes, connection: socket.socket) -> None:
    connection.settimeout(20)
    assert connection.recv(1) == b"", "the client hangs up first"


@pytest.mark.parametrize("cut", [reset, half, stall])
def test_a_connection_that_fails_after_the_commit_is_harmless(town: Town, cut: Callable[[bytes, socket.socket], None]) -> None:
    proxy = Proxy(town.server.url, cut)
    try:
        sender = town.another(url=proxy.url, timeout=1)
        town.send("a", "1", observation("o", "c"), person="P1")
        assert sender.step()
        assert town.waiting() == 1
        assert len(town.server.transactions) == 1
        town.drain(sender, seconds=3)
    finally:
        proxy.close()
    assert len(town.server.transactions) == 2
    assert set(town.server.versions.values()) == {1}
    town.whole(2)


def test_401_pauses_until_a_person_resumes(town: Town) -> None:
    town.send("a", "1", observation("o", "c"))
    town.server.faults = [401]
    town.sender.step()
    [queue] = deliveries.queue(town.county.database)
    assert queue.paused is not None
    assert "401" in queue.paused
    town.drain(seconds=3600)
    assert town.server.transactions == []
    deliveries.resume(town.county.database, "hapi", town.county.clock.now())
    town.drain()
    town.whole(1)


def test_409_of_the_moment_is_repeated(town: Town) -> None:
    town.send("a", "1", observation("o", "c"))
    town.server.faults = [409, 409]
    town.drain(seconds=5)
    town.whole(1)


@pytest.mark.parametrize("status", [409, 412])
def test_a_stale_version_that_someone_else_wrote_is_a_hold_and_its_neighbours_go_on(town: Town, status: int) -> None:
    town.server.stale = status
    town.send("a", "1", observation("o", "A"), observation("p", "A"))
    town.drain()
    url = town.url("Observation", "o")
    town.server.write(town.server.resources[url] | {"status": "cancelled"})
    town.send("a", "2", observation("o", "B"), observation("p", "B"))
    town.drain()
    assert town.server.resources[url]["status"] == "cancelled"
    assert town.server.resources[town.url("Observation", "p")]["code"] == {"text": "B"}
    [(kind, error)] = town.county.rows("SELECT kind, error FROM delivery_fault")
    assert kind == "conflict"
    assert "被别的系统改写" in error
    assert town.report().different == [("Observation", town.id("Observation", "o"))]
    town.send("a", "3", observation("o", "C"), observation("p", "B"))
    town.drain()
    assert town.server.resources[url]["status"] == "cancelled", "a newer version of ours does not overwrite it either"
    state = State(town.county.database, "hapi")
    assert state.clear_refused() == [], "resuming the destination does not overwrite it either"
    decided = town.report().different
    state.clear_faults(decided)
    owed.again(town.county.database, "hapi", decided, town.county.clock.now(), forget=True)
    town.drain()
    assert town.server.resources[url]["code"] == {"text": "C"}
    town.whole(2)


def test_poison_stands_alone_and_what_was_refused_goes_up_once_mended(town: Town) -> None:
    town.server.refuses = {town.url("Observation", "bad")}
    behind = observation("behind", "c")
    behind["body"]["focus"] = [{"reference": town.url("Observation", "bad")}]
    town.send("a", "1", observation("bad", "c"), behind, observation("good", "c"), person="P1")
    for n in range(20):
        town.send(f"k{n}", "1", observation(f"o{n}", "c"), person=f"N{n}")
    town.drain()
    assert {town.url("Observation", "good"), *(town.url("Observation", f"o{n}") for n in range(20))} <= town.server.resources.keys()
    assert town.url("Observation", "behind") not in town.server.resources
    assert (town.waiting(), town.report().unsettled) == (0, 2)
    town.server.refuses = set()
    owed.again(town.county.database, "hapi", State(town.county.database, "hapi").clear_refused(), town.county.clock.now())
    town.drain()
    town.whole(44)


def test_a_resource_that_breaks_the_server_each_time_holds_up_no_other(town: Town) -> None:
    bad = town.url("Observation", "bad")

    def broken(server: Server, request: Request) -> Response:
        server.faults.append(broken)
        found = any(e["request"]["url"] == bad for e in bundle_of(request)["entry"])
        return Response(status=500) if found else server.commit(bundle_of(request))

    town.server.faults = [broken]
    town.send("a", "1", observation("bad", "c"), person="P1")
    town.send("b", "1", observation("good", "c"), person="P1")
    for n in range(20):
        town.send(f"k{n}", "1", observation(f"o{n}", "c"), person=f"N{n}")
    for _ in range(60):
        town.sender.step()
        town.county.clock.advance(timedelta(seconds=20))
    assert town.url("Observation", "good") in town.server.resources
    assert len(town.server.resources) == 42, "all but the one"
    assert town.waiting() == 1
    town.server.faults = []
    town.drain(seconds=600)
    town.whole(43)


def test_a_target_that_nobody_holds_goes_up_as_identifier_until_it_arrives(town: Town) -> None:
    early = observation("early", "c")
    early["body"]["performer"] = [{"reference": town.url("Organization", "org"), "identifier": {"system": "urn:orgs", "value": "org"}}]
    town.send("a", "1", early, person="P1")
    town.drain()
    url = town.url("Observation", "early")
    assert town.server.resources[url]["performer"] == [{"type": "Organization", "identifier": {"system": "urn:orgs", "value": "org"}}]
    town.whole(2)
    town.send("org", "1", {"type": "Organization", "value": "org", "body": {"active": True}})
    town.drain()
    assert town.server.resources[url]["performer"][0]["reference"] == town.url("Organization", "org")
    town.whole(3)


def test_a_woken_resource_survives_a_fault_of_the_server(town: Town) -> None:
    early = observation("early", "c")
    early["body"]["performer"] = [{"reference": town.url("Organization", "org")}]
    town.send("a", "1", early, person="P1")
    town.drain()
    town.send("org", "1", {"type": "Organization", "value": "org", "body": {"active": True}})
    calls: list[Fault] = [lambda server, request: server.commit(bundle_of(request)), 503, lost_reply]
    town.server.faults = calls
    town.drain(seconds=20)
    assert town.server.resources[town.url("Observation", "early")]["performer"] == [{"reference": town.url("Organization", "org")}]
    town.whole(3)


@pytest.fixture
def concurrent() -> Iterator[HTTPServer]:
    """A server that answers several requests at once."""
    with HTTPServer(threaded=True) as server:
        yield server


def test_several_workers_never_send_one_resource_at_once(new_county: Callable[..., County], concurrent: HTTPServer) -> None:  # noqa: F811 - the fixture
    town = Town(new_county(destinations=["hapi"]), concurrent)
    for n in range(30):
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
    town.whole(60)
    assert set(town.server.versions.values()) == {1}


def test_a_shared_target_that_another_worker_delivers_is_waited_for(town: Town) -> None:
    pointing = observation("o", "c")
    pointing["body"]["performer"] = [{"reference": town.url("Organization", "org")}]
    town.send("org", "1", {"type": "Organization", "value": "org", "body": {"active": True}})
    town.send("a", "1", pointing, person="P1")
    now = town.county.clock.now()
    [shared] = deliveries.claim(town.county.database, "hapi", "other", now, timedelta(minutes=1), 1)
    assert shared.name == "shared"
    town.sender.step()
    assert town.url("Observation", "o") not in town.server.resources
    assert town.url("Organization", "org") not in town.server.resources
    deliveries.retry(town.county.database, shared, now, "stopped")
    town.drain()
    town.whole(3)


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
    assert State(town.county.database, "hapi").any_faults() is False
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


def test_deliveries_are_owed_again_safely_beside_a_running_writer(town: Town) -> None:
    town.send("a", "1", *(observation(f"o{n}", "c") for n in range(20)))
    names = [("Observation", town.id("Observation", f"o{n}")) for n in range(20)]
    later = [town.county.later(form(f"k{n}", "1", [observation(f"x{n}", "c")])) for n in range(30)]
    for _ in range(10):
        owed.again(town.county.database, "hapi", names, town.county.clock.now())
    for f in later:
        f.result(30)
    assert town.waiting() == 1 + 30 + 10
    town.drain()
    town.whole(50)


def test_a_resource_removed_behind_the_gateways_back_is_told_and_brought_back(town: Town) -> None:
    town.send("a", "1", observation("o", "c"), observation("p", "c"), person="P1")
    town.drain()
    town.whole(3)
    town.server.lose(town.url("Observation", "o"))
    town.server.write(town.server.resources[town.url("Observation", "p")] | {"status": "cancelled"})
    report = town.report()
    assert report.lost == [("Observation", town.id("Observation", "o"))]
    assert report.different == [("Observation", town.id("Observation", "p"))]
    owed.again(town.county.database, "hapi", [*report.lost, *report.different], town.county.clock.now(), forget=True)
    town.drain()
    town.whole(3)


def test_a_server_that_was_emptied_is_filled_again(town: Town) -> None:
    for n in range(12):
        town.send(f"k{n}", "1", observation(f"o{n}", "A"), person=f"P{n}")
    town.drain()
    town.server.resources.clear()
    town.server.versions.clear()
    assert len(town.report().lost) == 24
    before = len(town.server.transactions)
    for n in range(12):
        town.send(f"k{n}", "2", observation(f"o{n}", "B"), person=f"P{n}")
    town.drain()
    assert len(town.server.transactions) - before <= 4, "lacking targets are asked for at once, not found one by one"
    town.whole(24)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before + 1
