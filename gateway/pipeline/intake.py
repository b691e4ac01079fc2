"""What an adapter's feed gets: one source's way into the pipeline, safe from any thread or task."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Protocol

from gateway.errors import Finding
from gateway.record import Incoming, Receipt

__all__ = ["SourceIntake"]

PAUSE = 0.005
"""Seconds between looks while the gateway is behind."""


class Door(Protocol):
    """The part of the Gateway that an intake knocks at."""

    def offer(self, source: str, incoming: Incoming) -> Future[Receipt] | None:
        """Takes a message, or None while too much waits."""
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


class SourceIntake:
    """Implements `gateway.adapter.Intake`."""

    def __init__(self, door: Door, source: str) -> None:
        self._door = door
        self._source = source

    async def accept(self, incoming: Incoming) -> Receipt:
        """Waits for room, then for the commit. A cancelled caller does not undo what was taken: the message is stored all the same."""
        while (taken := self._door.offer(self._source, incoming)) is None:  # noqa: ASYNC110 - room is made by threads of other loops; a look costs less than a bridge
            await asyncio.sleep(PAUSE)
        return await asyncio.shield(asyncio.wrap_future(taken))

    def checkpoint(self) -> str | None:
        """The last durable checkpoint of this source."""
        return self._door.checkpoint(self._source)

    def remark(self, finding: Finding) -> None:
        """Reports a finding of the source itself."""
        self._door.remark(self._source, finding)

    def alive(self) -> None:
        """Tells that the source answered."""
        self._door.alive(self._source)
