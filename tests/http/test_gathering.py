"""Reads from a database server share statements, and nobody sees what stood before the call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import cast

import pytest

from gateway.http.gathering import MOST, Gathering
from gateway.store.reads import Current, Name, Reads
from gateway.store.scope import Scope

ALL = Scope.all("clinic")


class Server:
    """Reads whose statements end one by one, when a test lets them; `version` is what stands at a statement's begin."""

    def __init__(self) -> None:
        self.version = 1
        self.statements: list[list[Name]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.fault: Exception | None = None

    def currents(self, names: Iterable[Name], scope: Scope) -> dict[Name, Current]:
        """Everything but `gone`, as it stands when the statement begins."""
        wanted, version = list(names), self.version
        self.statements.append(wanted)
        self.begun.release()
        assert self.go.acquire(timeout=20)
        if self.fault is not None:
            raise self.fault
        return {name: (version, 0, False, name[1].encode()) for name in wanted if name[1] != "gone"}

    async def next(self) -> None:
        """Waits until a statement has begun, and lets it end."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=20)
        self.go.release()


def gathered(server: Server) -> Gathering:
    """Over a server that is not one."""
    return Gathering(cast(Reads, server))


def test_what_comes_while_a_statement_runs_shares_the_next_one() -> None:
    async def run() -> list[Current | None]:
        server = Server()
        gathering = gathered(server)
        first = asyncio.create_task(gathering.current("Basic", "a", ALL))
        assert await asyncio.to_thread(server.begun.acquire, timeout=20)
        server.version = 2
        later = [asyncio.create_task(gathering.current("Basic", id_, ALL)) for id_ in ("a", "b", "gone", "b")]
        await asyncio.sleep(0)
        server.go.release()
        await server.next()
        found = await asyncio.gather(first, *later)
        assert server.statements == [[("Basic", "a")], [("Basic", id_) for id_ in ("a", "b", "gone", "b")]]
        return found

    assert asyncio.run(run()) == [(1, 0, False, b"a"), (2, 0, False, b"a"), (2, 0, False, b"b"), None, (2, 0, False, b"b")]


def test_a_fault_reaches_all_who_share_the_statement_and_nobody_after_them() -> None:
    async def run() -> None:
        server = Server()
        server.fault = OSError("away")
        gathering = gathered(server)
        lost = [asyncio.create_task(gathering.current("Basic", id_, ALL)) for id_ in "ab"]
        await server.next()
        assert all(isinstance(e, OSError) for e in await asyncio.gather(*lost, return_exceptions=True))
        server.fault = None
        again = asyncio.create_task(gathering.current("Basic", "a", ALL))
        await server.next()
        assert await again == (1, 0, False, b"a")

    asyncio.run(run())


def test_who_is_gone_keeps_nobody_waiting() -> None:
    async def run() -> None:
        server = Server()
        gathering = gathered(server)
        gone, stays = (asyncio.create_task(gathering.current("Basic", id_, ALL)) for id_ in "ab")
        assert await asyncio.to_thread(server.begun.acquire, timeout=20)
        gone.cancel()
        server.go.release()
        assert await stays == (1, 0, False, b"b")
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(run())


def test_a_statement_reads_for_one_scope_and_only_so_many() -> None:
    async def run() -> list[int]:
        server = Server()
        gathering = gathered(server)
        tasks = [asyncio.create_task(gathering.current("Basic", str(n), ALL)) for n in range(MOST + 1)]
        tasks.append(asyncio.create_task(gathering.current("Basic", "0", Scope.all("office"))))
        for _ in range(3):
            await server.next()
        await asyncio.gather(*tasks)
        return [len(names) for names in server.statements]

    assert asyncio.run(run()) == [MOST, 1, 1]
