"""The outbox in its own process: it delivers, is started again when it dies, and ends when told to or when its gateway is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from structlog.testing import capture_logs

from gateway.config import DestinationConfig
from gateway.occupancy import succeed
from gateway.outbox.process import OutboxProcess
from tests.outbox.town import Town
from tests.records.county import observation


def outbox(town: Town) -> OutboxProcess:
    destination = DestinationConfig.model_validate({"name": "hapi", "url": town.server.url, "timeout": 5, "parallel": 1})
    return OutboxProcess(town.county.config.model_copy(update={"destination": [destination]}), first_pause=0.1)


def has(town: Town, value: str) -> bool:
    return town.url("Observation", value) in town.server.versions


def until(met: Callable[[], Any], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_what_is_owed_goes_up_from_the_process_also_after_it_died(town: Town) -> None:
    town.send("a", "1", observation("north", "A"))
    with capture_logs() as lines, outbox(town) as running:
        until(lambda: town.waiting() == 0)
        first = running.pid
        assert first is not None
        assert first != os.getpid()
        os.kill(first, signal.SIGKILL)
        town.send("b", "1", observation("south", "A"))
        until(lambda: town.waiting() == 0)
        assert running.pid != first
        assert has(town, "north")
        assert has(town, "south")
    assert [line["event"] for line in lines] == ["outbox process ended"]
    assert lines[0]["code"] == -signal.SIGKILL


@pytest.mark.slow
def test_it_ends_with_the_block_and_signals_of_the_terminal_do_not_cut_it_short(town: Town) -> None:
    town.send("a", "1", observation("north", "A"))
    with outbox(town) as running:
        until(lambda: town.waiting() == 0)
        process = psutil.Process(running.pid)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert process.is_running()
        assert process.status() != psutil.STATUS_ZOMBIE
    assert not process.is_running()


def test_no_destination_needs_no_process(town: Town) -> None:
    with OutboxProcess(town.county.config.model_copy(update={"destination": []})) as running:
        assert running.pid is None


def test_secrets_are_not_in_the_command_line(town: Town) -> None:
    destination = DestinationConfig.model_validate({"name": "hapi", "url": town.server.url, "authorization": "Bearer very-secret"})
    with OutboxProcess(town.county.config.model_copy(update={"destination": [destination]})) as running:
        assert "very-secret" not in " ".join(psutil.Process(running.pid).cmdline())


@pytest.mark.slow
def test_one_that_a_killed_gateway_left_behind_ends_before_the_next_begins(town: Town) -> None:
    if town.county.database.dialect != "sqlite":
        pytest.skip("leases serve there")
    town.send("a", "1", observation("north", "A"))
    with succeed(town.county.config.store.data, lambda _: True) as held:
        assert held
        with outbox(town):
            time.sleep(2)
        assert not has(town, "north"), "and the one that waited ends when it is told to"
    with outbox(town):
        until(lambda: has(town, "north"))
