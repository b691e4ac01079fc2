"""The contract suite that every adapter passes: what is accepted is durable, repeats and order change nothing, bad bytes stop nobody,
a slow gateway slows the sender, and cancelling leaves nothing half accepted. docs/adapters/contract.md says how a new adapter joins.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from gateway.adapter import Adapter, Layout
from gateway.errors import Refused
from gateway.record import Row
from tests.adapters.intake import RecordingIntake, Running, start, until

IN_HAND = 16
"""An adapter may have so many messages in hand while the gateway is slow; the rest must wait at the sender."""


class Case(Protocol):
    """One adapter under test.

    layouts: its profiles. bad: messages that are no message of theirs. message(n): a message with record n alone, as it reaches the
    intake. options(folder): [source.options] of a feed. send: hands messages to the running feed over the real protocol, as a sender
    does that tries again until it is answered; it may return before they are durable. send_bytes: the same for any bytes, once.
    """

    adapter: Adapter
    layouts: Sequence[Layout]
    bad: Sequence[bytes]

    def message(self, number: int) -> bytes: ...

    def options(self, folder: Path) -> dict[str, Any]: ...

    async def send(self, running: Running, intake: RecordingIntake, folder: Path, numbers: Sequence[int]) -> None: ...

    async def send_bytes(self, running: Running, intake: RecordingIntake, folder: Path, content: bytes) -> None: ...


class AdapterContract:
    """Inherit it and give a fixture `case`."""

    def extract(self, case: Case, content: bytes) -> list[Row]:
        return list(case.adapter.compile(case.layouts)(content))

    def intake(self, case: Case, **more: Any) -> RecordingIntake:
        return RecordingIntake(case.adapter.compile(case.layouts), **more)

    def expected(self, case: Case, numbers: Sequence[int]) -> Counter[str]:
        return Counter(key_of(row) for n in numbers for row in self.extract(case, case.message(n)))

    def test_every_locator_of_its_layouts_is_well_formed(self, case: Case) -> None:
        locators = [locator for layout in case.layouts for locator in layout.fields.values()]
        assert locators
        assert [case.adapter.check_locator(locator) for locator in locators] == [None] * len(locators)

    def test_a_malformed_locator_is_named(self, case: Case) -> None:
        assert case.adapter.check_locator("")

    def test_options_refuse_unknown_keys(self, case: Case) -> None:
        for model in (case.adapter.options, case.adapter.profile_options):
            assert model.model_config.get("extra") == "forbid"

    def test_extracting_has_no_memory(self, case: Case) -> None:
        """Rows are a pure function of the message: any order, any number of times."""
        extract = case.adapter.compile(case.layouts)
        messages = [case.message(n) for n in range(6)]
        first = [list(extract(m)) for m in messages]
        assert [list(extract(m)) for m in reversed(messages)] == first[::-1]
        assert all(rows for rows in first)
        assert len({row.unit for rows in first for row in rows}) == sum(len(rows) for rows in first)

    def test_a_stream_gives_what_the_bytes_give(self, case: Case) -> None:
        content = case.message(1)
        assert list(case.adapter.compile(case.layouts)(io.BytesIO(content))) == self.extract(case, content)

    def test_bad_bytes_are_refused_or_held_never_a_crash(self, case: Case) -> None:
        for content in case.bad:
            assert refused(self.extract, case, content), content[:60]

    def test_damaged_messages_are_refused_or_held_never_a_crash(self, case: Case) -> None:
        content = case.message(1)
        chance = random.Random(5)
        for _ in range(60):
            at = chance.randrange(len(content))
            for damaged in (content[:at], content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]):
                with contextlib.suppress(Refused):
                    self.extract(case, damaged)

    @pytest.mark.anyio
    async def test_everything_sent_becomes_durable_once(self, case: Case, tmp_path: Path) -> None:
        intake = self.intake(case)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        await case.send(running, intake, tmp_path, range(12))
        await until(lambda: len(keys(intake)) >= 12)
        await running.stop()
        assert keys(intake) == self.expected(case, range(12))

    @pytest.mark.anyio
    async def test_duplicates_and_shuffles_add_no_unit(self, case: Case, tmp_path: Path) -> None:
        intake = self.intake(case)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        await case.send(running, intake, tmp_path, range(6))
        await until(lambda: len(keys(intake)) >= 6)
        units = intake.units
        await case.send(running, intake, tmp_path, [4, 1, 5, 0, 2, 3, 3])
        await case.send(running, intake, tmp_path, [99])
        await until(lambda: set(self.expected(case, [99])) <= set(keys(intake)))
        await running.stop()
        assert set(keys(intake)) == set(self.expected(case, [*range(6), 99]))
        assert len(intake.units) == len(units) + len(self.expected(case, [99]))

    @pytest.mark.anyio
    async def test_bad_bytes_do_not_stop_what_follows(self, case: Case, tmp_path: Path) -> None:
        intake = self.intake(case)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        for content in case.bad:
            await case.send_bytes(running, intake, tmp_path, content)
        await case.send(running, intake, tmp_path, [1])
        await until(lambda: set(self.expected(case, [1])) <= set(keys(intake)))
        await running.stop()

    @pytest.mark.anyio
    async def test_a_slow_gateway_slows_the_sender(self, case: Case, tmp_path: Path) -> None:
        """While the intake takes nothing, only few messages are in hand; when it takes again, all arrive."""
        gate = asyncio.Event()
        intake = self.intake(case, gate=gate)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        sending = asyncio.create_task(case.send(running, intake, tmp_path, range(60)))
        await until(lambda: intake.waiting > 0)
        await asyncio.sleep(0.3)
        assert intake.started <= IN_HAND
        gate.set()
        await sending
        await until(lambda: len(keys(intake)) >= 60, 30)
        await running.stop()
        assert intake.most_waiting <= IN_HAND
        assert keys(intake) == self.expected(case, range(60))

    @pytest.mark.anyio
    async def test_cancelling_leaves_nothing_half_accepted(self, case: Case, tmp_path: Path) -> None:
        """Cancelled before the commit: nothing is durable, and the next run gets the message."""
        intake = self.intake(case, gate=asyncio.Event())
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        sending = asyncio.create_task(case.send(running, intake, tmp_path, [1, 2, 3]))
        await until(lambda: intake.waiting > 0)
        await running.stop()
        await settle(sending)
        assert intake.committed == [] and intake.durable is None
        assert intake.waiting == 0
        intake.gate = None
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        await case.send(running, intake, tmp_path, [1, 2, 3])
        await until(lambda: len(keys(intake)) >= 3)
        await running.stop()
        assert set(keys(intake)) == set(self.expected(case, [1, 2, 3]))

    @pytest.mark.anyio
    async def test_a_restart_in_the_middle_loses_nothing(self, case: Case, tmp_path: Path) -> None:
        intake = self.intake(case, delay=0.01)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        sending = asyncio.create_task(case.send(running, intake, tmp_path, range(20)))
        await until(lambda: len(intake.committed) >= 2)
        await running.stop()
        await settle(sending)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        await case.send(running, intake, tmp_path, range(20))
        await until(lambda: set(self.expected(case, range(20))) <= set(keys(intake)), 30)
        await running.stop()
        assert set(keys(intake)) == set(self.expected(case, range(20)))
        assert len(intake.units) == sum(self.expected(case, range(20)).values())

    @pytest.mark.anyio
    async def test_a_store_that_is_away_costs_time_and_nothing_else(self, case: Case, tmp_path: Path) -> None:
        intake = self.intake(case, failures=2)
        running = await start(case.adapter, case.layouts, intake, case.options(tmp_path))
        await case.send(running, intake, tmp_path, range(3))
        await until(lambda: set(self.expected(case, range(3))) <= set(keys(intake)), 20)
        await running.stop()


def key_of(row: Row) -> str:
    """What tells the record of one message from that of another."""
    return row.dataset + repr(sorted((k, str(v)) for k, v in row.fields.items() if isinstance(v, str | list)))


def keys(intake: RecordingIntake) -> Counter[str]:
    """Records committed, without what was held or refused."""
    return Counter(key_of(row) for row in intake.rows if not any(f.severity in ("hold", "refuse") for f in row.findings))


def refused(extract: Any, case: Case, content: bytes) -> bool:
    """Whether bytes were refused whole or gave only rows that are held."""
    try:
        rows = extract(case, content)
    except Refused:
        return True
    return bool(rows) and all(any(f.severity in ("hold", "refuse") for f in row.findings) for row in rows)


async def settle(task: asyncio.Task[None]) -> None:
    """Ends a sender whose receiver is gone."""
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.done()
