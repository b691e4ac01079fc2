"""Faults of the server and of the network: again with pauses, paused for a person, or taken apart."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from werkzeug import Request, Response

from gateway.outbox import owed
from gateway.store import deliveries
from tests.outbox.server import Server, lost_reply
from tests.outbox.town import Town, bundle_of
from tests.records.county import observation


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
    assert town.faults() == []
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
    assert owed.refused(town.county.database, "hapi", town.county.clock.now()) == [("Observation", town.id("Observation", "bad"))]
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
