"""The FHIR API against the real HAPI server of tests/hapi: the same requests, alternating, both warm."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import asked, fhir_servers
from tests.bench.clients import Asked
from tests.bench.fhir_servers import Pair, Server
from tests.bench.measure import Figure, against, elsewhere, quicker
from tests.bench.products import ROOT

WARM = 0.05
"""A round in which the peer got no faster than by this share is a calm one; it is warm after CALM of them in a row."""
CALM = 2
MOST = 15
"""Rounds of warming up at most."""
REST = 1.5
"""Seconds after a burst of writes, in which a server does what it put off (index, log) in its own time and not in the other's."""
AGREED = 20
"""Searches whose pages must be the same on both servers."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one burst came to. rate: units per second."""

    rate: float
    p50: float
    p99: float
    locations: list[str]


def burst(server: Server, connections: int, requests: Sequence[Asked], units: int = 1) -> Run:
    """Sends requests from a process of their own. Raises RuntimeError when one was not answered with 200 or 201."""
    lines = "\n".join(json.dumps([method, server.prefix + path, body]) for method, path, body in requests)
    command = [sys.executable, "-m", "tests.bench.clients", str(server.port), str(connections)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr[-600:]}")
    told = json.loads(done.stdout)
    if not set(told["answers"]) <= {"200", "201"}:
        raise RuntimeError(f"{server.name} answered {told['answers']} to {requests[0][0]} {requests[0][1][:80]}")
    return Run(len(requests) * units / told["seconds"], told["p50"], told["p99"], told["locations"])


@dataclass(slots=True)
class Match:
    """Two servers that get the same bursts in turn, and what they made of each kind. places: of what they created by plain posts. sent:
    readings so far."""

    pair: Pair
    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)
    sent: int = 0
    turn: int = 0

    def fill(self) -> None:
        """Residents and as many readings as fill the pages of all searches."""
        for server in self.pair:
            burst(server, 8, asked.residents())
            burst(server, 8, asked.transactions(0, asked.FILLED // asked.BUNDLE))
        self.sent = asked.FILLED

    def round(self, requests: int, floor: Server | None = None) -> None:
        """One burst of each kind to both servers; who begins changes from round to round. floor: gets the reads as well."""
        self.turn += 1
        bundles = max(requests // 50, 8)
        self._play("post", asked.posts(self.sent, requests))
        self._play("transaction", asked.transactions(self.sent + requests, bundles), units=asked.BUNDLE)
        self.sent += requests + bundles * asked.BUNDLE
        for connections in (8, 64):
            for server in self._order():
                self._note(f"read {connections}", server, burst(server, connections, self._reads(server, requests * 3)))
        if floor is not None:
            self._note("read 8", floor, burst(floor, 8, [("GET", "/", None)] * (requests * 3)))
        self._play("search", asked.searches(max(requests // 4, 200), self.turn))

    def last(self, kind: str) -> float:
        """The peer's rate in the last round."""
        return self.runs[kind, self.pair[1].name][-1].rate

    def _play(self, kind: str, requests: Sequence[Asked], units: int = 1) -> None:
        for server in self._order():
            run = burst(server, 8, requests, units)
            self._note(kind, server, run)
            if kind == "post":
                self.places.setdefault(server.name, []).extend(run.locations)
            if kind != "search":
                time.sleep(REST)

    def _reads(self, server: Server, count: int) -> list[Asked]:
        return asked.reads(self.places[server.name], count, self.turn)

    def _order(self) -> Sequence[Server]:
        return self.pair if self.turn % 2 else self.pair[::-1]

    def _note(self, kind: str, server: Server, run: Run) -> None:
        self.runs.setdefault((kind, server.name), []).append(run)


def api(requests: int, rounds: int, databases: Sequence[str], build: Path, say: Callable[[str], None]) -> list[Figure]:
    """Figures of posts, transactions, reads and searches on each database. requests: posts of one burst; the other bursts follow from it."""
    figures: list[Figure] = []
    for name in databases:
        title, start = fhir_servers.PAIRS[name]
        folder = build / "api" / name
        shutil.rmtree(folder, ignore_errors=True)
        with start(folder) as pair:
            say(f"{title}: both are running, and are filled")
            figures += [f.named(f"{f.name} ({title})") for f in _compared(Match(pair), requests, rounds, folder, say)]
    return figures


def _compared(match: Match, requests: int, rounds: int, folder: Path, say: Callable[[str], None]) -> list[Figure]:
    match.fill()
    warmed = _warm(match, max(requests, 1000), say)
    _agree(match.pair)
    match.runs.clear()
    others: list[float] = []
    with fhir_servers.bare(folder, _body(match.pair[0], match.places["yifang"][0])) as floor:
        for n in range(rounds):
            others.append(elsewhere())
            say(f"round {n + 1} of {rounds}; others take {others[-1]:.0%} of the processors")
            match.round(requests, floor)
    return _figures(match.runs, f"after {warmed} rounds of warming up; others took {statistics.median(others):.0%} of the processors")


def _warm(match: Match, requests: int, say: Callable[[str], None]) -> int:
    """Rounds until the peer's posts and searches get no faster; how many."""
    best = {"post": 0.0, "search": 0.0}
    calm = 0
    for n in range(1, MOST + 1):
        match.round(requests)
        rates = {kind: match.last(kind) for kind in best}
        say(f"warming up, {n}: HAPI's posts {rates['post']:,.0f}/s, searches {rates['search']:,.0f}/s")
        calm = 0 if any(rates[kind] > best[kind] * (1 + WARM) for kind in best) else calm + 1
        best = {kind: max(best[kind], rates[kind]) for kind in best}
        if calm == CALM:
            return n
    return MOST


def _agree(pair: Pair) -> None:
    """Raises RuntimeError unless both servers answer the same full pages, in the same order: only then are their times comparable."""
    for _, path, _ in asked.searches(AGREED, 0):
        pages = [[_number(e) for e in json.loads(_get(server, path)).get("entry", [])] for server in pair]
        if pages[0] != pages[1] or len(pages[0]) != asked.ROWS:
            raise RuntimeError(f"the pages of {path} differ, or are not full: {pages}")


def _number(entry: dict[str, Any]) -> str:
    return str(entry["resource"]["identifier"][0]["value"])


def _get(server: Server, path: str) -> bytes:
    """The body of an answer, as the clients of the bursts get it."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{server.prefix}{path}", headers={"Accept": "application/fhir+json"})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def _body(server: Server, place: str) -> bytes:
    return _get(server, asked.reads([place], 1, 0)[0][1])


def _figures(runs: dict[tuple[str, str], list[Run]], note: str) -> list[Figure]:
    def of(kind: str, name: str, what: str = "rate") -> list[float]:
        return [getattr(run, what) for run in runs[kind, name]]

    def rate(title: str, kind: str, unit: str) -> Figure:
        times = ", ".join(f"{q} {middle(kind, 'yifang', q):.1f} ms against {middle(kind, 'hapi', q):.1f}" for q in ("p50", "p99"))
        return against(title, unit, of(kind, "yifang"), of(kind, "hapi"), "at least", 3, f"{times}; {note}")

    def middle(kind: str, name: str, what: str) -> float:
        return statistics.median(of(kind, name, what))

    def wait(what: str) -> Figure:
        title = f"search patient + code + date, {asked.ROWS} rows, 8 connections: {what}"
        rates = f"{middle('search', 'yifang', 'rate'):,.0f}/s against {middle('search', 'hapi', 'rate'):,.0f}/s"
        return quicker(title, of("search", "yifang", what), of("search", "hapi", what), 5, f"{rates}; {note}")

    return [
        rate("POST Observation, 8 connections", "post", "requests/s"),
        rate(f"transaction of {asked.BUNDLE}, 8 connections", "transaction", "resources/s"),
        rate("read, 8 connections", "read 8", "requests/s"),
        rate("read, 64 connections", "read 64", "requests/s"),
        against("read against a bare handler, 8 connections", "requests/s", of("read 8", "yifang"), of("read 8", "bare"), "at least", 0.5,
                f"the same bytes; {note}"),
        wait("p50"),
        wait("p99"),
    ]  # fmt: skip
