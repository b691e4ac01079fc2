"""An intake that records what was committed, for tests of adapters: slow, failing or full on demand, and it knows repeats."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.adapter import Adapter, Extract, Feed, Layout, SourceConfig
from gateway.clock import Clock, SetClock
from gateway.errors import Finding, Refused, TransientError
from gateway.record import Incoming, Receipt, RecordOutcome, Row


@dataclass
class Committed:
    """One message as it became durable."""

    incoming: Incoming
    content: bytes
    rows: list[Row]
    receipt: Receipt


@dataclass
class RecordingIntake:
    """A fake of the pipeline's intake. delay: seconds a commit takes; failures: so many next accepts fail; gate: accepts wait for it.

    most_waiting: how many accepts were under way at the same time; started / finished: calls of accept.
    """

    extract: Extract
    delay: float = 0.0
    failures: int = 0
    gate: asyncio.Event | None = None
    committed: list[Committed] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    beats: int = 0
    durable: str | None = None
    started: int = 0
    finished: int = 0
    waiting: int = 0
    most_waiting: int = 0

    async def accept(self, incoming: Incoming) -> Receipt:
        self.started += 1
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(self.delay)
            if self.failures > 0:
                self.failures -= 1
                raise TransientError("the store is away")
            return self._commit(incoming)
        finally:
            self.waiting -= 1

    def _commit(self, incoming: Incoming) -> Receipt:
        content = incoming.content if isinstance(incoming.content, bytes) else incoming.content().read()
        rows: list[Row] = []
        reason = incoming.refused
        if reason is None:
            try:
                rows = list(self.extract(content))
            except Refused as refused:
                reason = refused.finding
        known = self.units
        outcomes = []
        for row in rows:
            held = any(f.severity in ("hold", "refuse") for f in row.findings)
            state = "repeat" if digest(row.unit) in known else "held" if held else "written"
            outcomes.append(RecordOutcome(row.position, row.dataset, (), state, row.findings))
        state = "refused" if reason else "mapped"
        receipt = Receipt(len(self.committed) + 1, state, outcomes, reason)
        self.committed.append(Committed(incoming, content, rows, receipt))
        if incoming.checkpoint is not None:
            self.durable = incoming.checkpoint
        self.finished += 1
        return receipt

    def outcomes(self, message: int) -> Iterator[RecordOutcome]:
        return iter(self.committed[message - 1].receipt.outcomes)

    def checkpoint(self) -> str | None:
        return self.durable

    def remark(self, finding: Finding) -> None:
        self.remarks.append(finding)

    def alive(self) -> None:
        self.beats += 1

    @property
    def units(self) -> set[str]:
        """Digests of all distinct units that were committed."""
        return {digest(row.unit) for c in self.committed for row in c.rows}

    @property
    def rows(self) -> list[Row]:
        """All rows committed, repeats too."""
        return [row for c in self.committed for row in c.rows]


def digest(unit: bytes) -> str:
    return hashlib.sha256(unit).hexdigest()


@dataclass
class Running:
    """A feed that runs in the background."""

    task: asyncio.Task[None]
    place: str

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task], timeout=10)
        assert self.task.done(), "the feed did not stop when it was cancelled"
        if not self.task.cancelled():
            self.task.result()


async def start(adapter: Adapter, layouts: Sequence[Layout], intake: RecordingIntake, options: dict[str, Any], clock: Clock | None = None) -> Running:
    """Starts a feed and waits until it says that it is ready."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    source = SourceConfig(
        name="test", adapter=adapter.name, profiles=["d/p"], authority="https://example.invalid/sys", organisation="390001", options=options
    )

    def told(place: str) -> None:
        if not ready.done():
            ready.set_result(place)

    feed = Feed(source, adapter.options.model_validate(options), layouts, intake, clock or SetClock(datetime(2026, 6, 1, tzinfo=UTC)), told)
    task = asyncio.create_task(adapter.run(feed))
    waited: list[asyncio.Future[Any]] = [task, ready]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    if task.done():
        task.result()
    return Running(task, await asyncio.wait_for(ready, 10))


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the condition looks at files and lists, nothing sets an event
            await asyncio.sleep(0.005)
