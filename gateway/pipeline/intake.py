"""What an adapter's feed gets: one source's way into the pipeline, safe from any thread or task."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Protocol

from gateway.errors import Finding
from gateway.record import Incoming, Receipt, RecordOutcome

__all__ = ["SourceIntake"]

PAUSE = 0.005
"""Seconds between looks while the gateway is behind."""
WORD = 1.0
"""Seconds between two signs of life that are passed on."""


class Door(Protocol):
    """The part of the Gateway that an intake knocks at."""

    def offer(self, source: str, incoming: Incoming) -> Future[Receipt] | None:
        """Takes a message, or None while too much waits."""
        ...

    def outcomes(self, message: int) -> Iterator[RecordOutcome]:
        """Every record of a message."""
        ...

    def checkpoint(self, source: str) -> str | None:
        """The last durable checkpoint."""
        ...

    def remark(self, source: str, finding: Finding) -> None:
        """Keeps a finding of the source itself."""
        ...

    def alive(self, source: str) -> None:
        """The source answered."""
        ...


class _Bridge:
    """Brings answers from the writer's thread into one event loop. A commit answers many; the loop is woken once for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._done: deque[tuple[asyncio.Future[Receipt], Future[Receipt]]] = deque()
        self._called = False

    def wait(self, taken: Future[Receipt]) -> asyncio.Future[Receipt]:
        """A future of the loop that is answered as `taken` is. Cancelling it leaves `taken` as it is."""
        answer: asyncio.Future[Receipt] = self.loop.create_future()
        taken.add_done_callback(lambda done: self._put(answer, done))
        return answer

    def _put(self, answer: asyncio.Future[Receipt], taken: Future[Receipt]) -> None:
        self._done.append((answer, taken))
        if not self._called:
            self._called = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._give)

    def _give(self) -> None:
        self._called = False  # first: what is put from now on calls again
        while self._done:
            answer, taken = self._done.popleft()
            if answer.cancelled():
                continue
            fault = taken.exception()
            if fault is None:
                answer.set_result(taken.result())
            else:
                answer.set_exception(fault)


class SourceIntake:
    """Implements `gateway.adapter.Intake`."""

    def __init__(self, door: Door, source: str) -> None:
        self._door = door
        self._source = source
        self._bridge: _Bridge | None = None
        self._word = -WORD

    async def accept(self, incoming: Incoming) -> Receipt:
        """Waits for room, then for the commit. A cancelled caller does not undo what was taken: the message is stored all the same."""
        while (taken := self._door.offer(self._source, incoming)) is None:  # noqa: ASYNC110 - room is made by threads of other loops; a look costs less than a bridge
            await asyncio.sleep(PAUSE)
        loop = asyncio.get_running_loop()
        if self._bridge is None or self._bridge.loop is not loop:
            self._bridge = _Bridge(loop)
        return await self._bridge.wait(taken)

    def outcomes(self, message: int) -> Iterator[RecordOutcome]:
        """What became of every record of a message, in the order of its rows."""
        return self._door.outcomes(message)

    def checkpoint(self) -> str | None:
        """The last durable checkpoint of this source."""
        return self._door.checkpoint(self._source)

    def remark(self, finding: Finding) -> None:
        """Reports a finding of the source itself."""
        self._door.remark(self._source, finding)

    def alive(self) -> None:
        """Tells that the source answered; a connection says so with every packet, and once a second is enough."""
        now = time.monotonic()
        if now - self._word >= WORD:
            self._word = now
            self._door.alive(self._source)
