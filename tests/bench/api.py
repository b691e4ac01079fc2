"""The FHIR API against the real HAPI server of tests/hapi: the same requests, alternating, both warm."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench.clients import Asked
from tests.bench.measure import Figure, against
from tests.bench.products import ROOT, running, free_port
from tests.services import hapi

PERSONS = 100
CODES = ("8480-6", "8462-4", "15074-8", "4548-4", "2823-3")
BUNDLE = 100
CONFIGURATION = '[http]\nport = {port}\n\n[log]\nlevel = "error"\n'


@dataclass(frozen=True, slots=True)
class Server:
    """A FHIR server under load. prefix: path of its base."""

    name: str
    port: int
    prefix: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one burst came to. rate: units per second."""

    rate: float
    p50: float
    p99: float
    locations: list[str]


def observation(n: int) -> dict[str, Any]:
    """A reading of one of PERSONS residents; no two are the same."""
    day, minute = n % 28 + 1, n // 28 % 1440
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "urn:bench:reading", "value": f"R{n:08d}"}],
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": CODES[n % len(CODES)]}]},
        "subject": {"reference": f"Patient/bench{n % PERSONS}"},
        "effectiveDateTime": f"2026-03-{day:02d}T{minute // 60:02d}:{minute % 60:02d}:00+08:00",
        "valueQuantity": {"value": 100 + n % 80, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
    }


def burst(server: Server, connections: int, asked: Sequence[Asked], units: int = 1) -> Run:
    """Sends requests from a process of their own. Raises RuntimeError when one was not answered with 200 or 201."""
    lines = "\n".join(json.dumps([method, server.prefix + path, body]) for method, path, body in asked)
    command = [sys.executable, "-m", "tests.bench.clients", str(server.port), str(connections)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr[-600:]}")
    told = json.loads(done.stdout)
    if not set(told["answers"]) <= {"200", "201"}:
        raise RuntimeError(f"{server.name} answered {told['answers']} to {asked[0][0]} {asked[0][1][:80]}")
    return Run(len(asked) * units / told["seconds"], told["p50"], told["p99"], told["locations"])


def residents() -> list[Asked]:
    """The residents that the readings are about."""
    return [("PUT", f"/Patient/bench{n}", json.dumps({"resourceType": "Patient", "id": f"bench{n}"})) for n in range(PERSONS)]


def posts(first: int, count: int) -> list[Asked]:
    """Plain creates."""
    return [("POST", "/Observation", json.dumps(observation(n))) for n in range(first, first + count)]


def transactions(first: int, count: int) -> list[Asked]:
    """Bundles of BUNDLE creates."""
    found: list[Asked] = []
    for b in range(count):
        entries = [
            {"resource": observation(n), "request": {"method": "POST", "url": "Observation"}}
            for n in range(first + b * BUNDLE, first + (b + 1) * BUNDLE)
        ]
        found.append(("POST", "", json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})))
    return found


def reads(locations: Sequence[str], count: int, seed: int) -> list[Asked]:
    """Reads of what was created, at random."""
    chosen = random.Random(seed)
    paths = ["/" + "/".join(urlsplit(place).path.strip("/").split("/")[-4:-2]) for place in locations]
    return [("GET", chosen.choice(paths), None) for _ in range(count)]


def searches(count: int, seed: int) -> list[Asked]:
    """patient + code + date, newest first, 20 rows."""
    chosen = random.Random(seed)
    return [
        ("GET", f"/Observation?patient=Patient/bench{chosen.randrange(PERSONS)}&code=http://loinc.org%7C{chosen.choice(CODES)}"
                f"&date=ge2026-03-{chosen.randint(1, 9):02d}&_sort=-date&_count=20", None)
        for _ in range(count)
    ]  # fmt: skip


@contextmanager
def gateway(folder: Path, database: str = "") -> Iterator[Server]:
    """`yifang serve` on an empty database."""
    folder.mkdir(parents=True)
    port = free_port()
    store = f'\n[store]\ndatabase = "{database}"\n' if database else ""
    (folder / "yifang.toml").write_text(CONFIGURATION.format(port=port) + store, "utf-8")
    with running([sys.executable, "-m", "gateway", "serve", "--config", str(folder / "yifang.toml")], folder, port, dict(os.environ)):
        yield Server("yifang", port, "/fhir")


def api(requests: int, rounds: int, build: Path, say: Callable[[str], None]) -> list[Figure]:
    """Figures of posts, transactions, reads and searches. requests: posts of one burst; the other bursts follow from it."""
    shutil.rmtree(build / "api", ignore_errors=True)
    with ExitStack() as stack:
        own = stack.enter_context(gateway(build / "api" / "yifang"))
        other = urlsplit(stack.enter_context(hapi())["YIFANG_TEST_HAPI"])
        assert other.port is not None
        return _compared(own, Server("hapi", other.port, other.path), requests, rounds, build, say)


def _compared(own: Server, peer: Server, requests: int, rounds: int, build: Path, say: Callable[[str], None]) -> list[Figure]:
    """Both servers get each burst, one after the other; the first round warms them up."""
    match = Match((own, peer))
    number = 0
    for server in match.servers:
        burst(server, 8, residents())
    for round_ in range(rounds + 1):
        say(f"round {round_} of {rounds}" if round_ else "warming up")
        posted, bundles = (requests, max(requests // 50, 4)) if round_ else (max(requests, 1500), 8)
        match.play("post", [posts(number, posted)] * 2)
        number += posted
        match.play("transaction", [transactions(number, bundles)] * 2, units=BUNDLE)
        number += bundles * BUNDLE
        for connections in (8, 64):
            match.play(f"read {connections}", [reads(match.places[s.name], requests * 3, round_) for s in match.servers], connections)
        match.play("search", [searches(max(requests // 4, 50), round_)] * 2)
        if not round_:
            match.runs.clear()
    floor = [_floor(own, match.places[own.name][0], requests * 3, build) for _ in range(rounds)]
    return _figures(match.runs, floor)


class Match:
    """What the servers made of each kind of burst, and where what they created stands."""

    def __init__(self, servers: tuple[Server, Server]) -> None:
        self.servers = servers
        self.runs: dict[tuple[str, str], list[Run]] = {}
        self.places: dict[str, list[str]] = {server.name: [] for server in servers}

    def play(self, kind: str, asked: Sequence[list[Asked]], connections: int = 8, units: int = 1) -> None:
        """Sends to each server what is asked of it."""
        for server, requests in zip(self.servers, asked, strict=True):
            run = burst(server, connections, requests, units)
            self.runs.setdefault((kind, server.name), []).append(run)
            self.places[server.name] += run.locations if kind == "post" else []


def _floor(own: Server, place: str, count: int, build: Path) -> float:
    """Requests a second of a bare handler that answers the bytes of one resource, 8 connections."""
    path = "/".join(urlsplit(place).path.strip("/").split("/")[:-2])
    content = build / "api" / "bare.json"
    content.write_bytes(urllib.request.urlopen(f"http://127.0.0.1:{own.port}/{path}").read())
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bare", str(port), str(content)]
    with running(command, build / "api", port, dict(os.environ)):
        time.sleep(0.2)
        return burst(Server("bare", port, ""), 8, [("GET", "/", None)] * count).rate


def _figures(runs: dict[tuple[str, str], list[Run]], floor: Sequence[float]) -> list[Figure]:
    def rates(kind: str, name: str) -> list[float]:
        return [run.rate for run in runs[kind, name]]

    def compared(title: str, kind: str, unit: str, limit: float) -> Figure:
        last, peer = runs[kind, "yifang"][-1], runs[kind, "hapi"][-1]
        note = f"p50 {last.p50:.1f} ms against {peer.p50:.1f}, p99 {last.p99:.1f} against {peer.p99:.1f}"
        return against(title, unit, rates(kind, "yifang"), rates(kind, "hapi"), "at least", limit, note)

    return [
        compared("POST Observation, 8 connections", "post", "requests/s", 3),
        compared(f"transaction of {BUNDLE}, 8 connections", "transaction", "resources/s", 3),
        compared("read, 8 connections", "read 8", "requests/s", 3),
        compared("read, 64 connections", "read 64", "requests/s", 3),
        against("read against a bare handler, 8 connections", "requests/s", rates("read 8", "yifang"), floor, "at least", 0.5, "the same bytes"),
        compared("search patient + code + date, 20 rows", "search", "requests/s", 5),
    ]
