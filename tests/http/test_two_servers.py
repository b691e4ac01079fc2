"""Two `yifang serve` on one PostgreSQL database, sixteen clients over both: claims before searches, one write a key, versions without gaps.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, #concurrency
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.conftest import POSTGRES
from tests.http.test_conditional import device
from tests.records.county import fresh_schema

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 16
PATIENCE = 120
FHIR = {"Content-Type": "application/fhir+json"}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A gateway process of its own; the FHIR base that it says."""
    folder.mkdir()
    (folder / "yifang.toml").write_text(f'[http]\nport = 0\n[store]\ndatabase = "{POSTGRES}"\n', "utf-8")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "yifang.toml")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
                                                               env=os.environ | {"PYTHONUTF8": "1"}) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "/fhir" in line, (folder / "log").read_text("utf-8")
            yield next(word for word in line.split() if word.endswith("/fhir"))
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


Clients = list[httpx.Client]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """Sixteen clients with connections of their own, every other one of the second server."""
    fresh_schema(POSTGRES)
    with ExitStack() as stack:
        bases = [stack.enter_context(serving(tmp_path_factory.mktemp("server") / "site")) for _ in range(2)]
        assert len(set(bases)) == 2
        yield [stack.enter_context(httpx.Client(base_url=bases[n % 2], headers=FHIR, timeout=PATIENCE)) for n in range(CLIENTS)]


def together(clients: Clients, ask: Callable[[httpx.Client, int], Any]) -> list[Any]:
    """What each client's asking gives; all begin at the same moment."""
    start = threading.Barrier(len(clients))

    def one(n: int) -> Any:
        start.wait()
        return ask(clients[n], n)

    with ThreadPoolExecutor(len(clients)) as callers:
        return list(callers.map(one, range(len(clients))))


def posting(value: str, headers: dict[str, str]) -> Callable[[httpx.Client, int], httpx.Response]:
    """A create of the same device by every client."""
    return lambda client, _: client.post("/Device", json=device(value), headers=headers)


def total(clients: Clients, value: str) -> set[int]:
    """How many devices have this identifier, as either server says."""
    return {c.get("/Device", params={"identifier": f"urn:x|{value}", "_total": "accurate"}).json()["total"] for c in clients[:2]}


def versions(client: httpx.Client, path: str) -> dict[int, Any]:
    """Version -> content of every version of a resource."""
    entries = client.get(f"{path}/_history", params={"_count": "1000"}).json()["entry"]
    return {int(e["resource"]["meta"]["versionId"]): e["resource"] for e in entries}


def test_sixteen_conditional_creates_on_two_postgresql_processes_make_exactly_one(clients: Clients) -> None:
    for value in ("cc1", "cc2", "cc3", "cc4", "cc5"):
        answers = together(clients, posting(value, {"If-None-Exist": f"identifier=urn:x|{value}"}))
        assert Counter(a.status_code for a in answers) == {201: 1, 200: CLIENTS - 1}
        assert len({a.json()["id"] for a in answers}) == 1
        assert total(clients, value) == {1}


def test_sixteen_conditional_updates_on_two_postgresql_processes_make_one_resource_of_as_many_versions(clients: Clients) -> None:
    answers = together(clients, lambda c, n: c.put("/Device?identifier=urn:x|cu", json=device("cu", lotNumber=str(n))))
    assert Counter(a.status_code for a in answers) == {201: 1, 200: CLIENTS - 1}
    (name,) = {a.json()["id"] for a in answers}
    assert total(clients, "cu") == {1}
    assert versions(clients[0], f"/Device/{name}") == {int(a.json()["meta"]["versionId"]): a.json() for a in answers}
    assert len({a.json()["meta"]["versionId"] for a in answers}) == CLIENTS


def test_one_key_at_both_postgresql_processes_writes_once_and_is_answered_alike(clients: Clients) -> None:
    for value in ("ik1", "ik2", "ik3"):
        answers = together(clients, posting(value, {"Idempotency-Key": value}))
        assert Counter((a.status_code, a.headers.get("idempotent-replay")) for a in answers) == {(201, None): 1, (201, "true"): CLIENTS - 1}
        assert len({(a.content, a.headers["etag"], a.headers["location"].partition("/fhir/")[2]) for a in answers}) == 1
        assert total(clients, value) == {1}


def test_updates_of_one_resource_through_two_postgresql_processes_lose_nothing_and_number_without_gaps(clients: Clients) -> None:
    each = 5

    def put(client: httpx.Client, n: int) -> list[httpx.Response]:
        return [client.put("/Device/put", json=device("put", id="put", lotNumber=f"{n}-{k}")) for k in range(each)]

    answers = [a for told in together(clients, put) for a in told]
    assert Counter(a.status_code for a in answers) == {201: 1, 200: CLIENTS * each - 1}
    kept = versions(clients[0], "/Device/put")
    assert sorted(kept) == list(range(1, CLIENTS * each + 1))
    assert kept == {int(a.json()["meta"]["versionId"]): a.json() for a in answers}
    assert [a.headers["etag"] for a in answers] == [f'W/"{a.json()["meta"]["versionId"]}"' for a in answers]


def test_if_match_is_exact_through_two_postgresql_processes(clients: Clients) -> None:
    each = 3
    assert clients[0].put("/Device/count", json=device("count", id="count", lotNumber="0")).status_code == 201

    def add(client: httpx.Client, _: int) -> Counter[int]:
        told: Counter[int] = Counter()
        while told[200] < each:
            read = client.get("/Device/count")
            changed = read.json() | {"lotNumber": str(int(read.json()["lotNumber"]) + 1)}
            told[client.put("/Device/count", json=changed, headers={"If-Match": read.headers["etag"]}).status_code] += 1
        return told

    told: Counter[int] = sum(together(clients, add), Counter())
    assert set(told) == {200, 412} and told[200] == CLIENTS * each
    assert {v: int(body["lotNumber"]) for v, body in versions(clients[0], "/Device/count").items()} == {n + 1: n for n in range(CLIENTS * each + 1)}
