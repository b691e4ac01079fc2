"""Deliveries in a process of their own, so that bundling, sending and reading answers take no time from receiving and writing.

All they share is the database: what is owed, what was sent and why a destination waits stand there, for figures and commands too. A process
that ended by itself is started again; one that `yifang serve` left behind (killed) ends by itself when its standard input does.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from gateway.config import Config, DestinationConfig, LogConfig, StoreConfig
from gateway.log import logger

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a process that ended by itself is started again: the first and the longest pause."""
GRACE = 10.0
"""Seconds beyond the longest time-out of a destination until a process that was told to stop is killed."""


class Order(BaseModel):
    """What the process is to do; secrets are in it, so it goes over a pipe and never into a command line."""

    store: StoreConfig
    log: LogConfig
    base: str
    destinations: list[DestinationConfig]


class OutboxProcess:
    """Runs the outbox of a configuration as long as the block lasts; nothing runs when it has no destination."""

    def __init__(self, config: Config, first_pause: float = FIRST_PAUSE) -> None:
        self._order = Order(store=config.store, log=config.log, base=config.base, destinations=config.destination)
        self._pause = first_pause
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name="outbox-process", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        with self._guard:
            return self._process.pid if self._process is not None else None

    def __enter__(self) -> Self:
        if self._order.destinations:
            self._start()
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        with self._guard:
            if self._process is None:
                return
            _end_input(self._process)
        self._thread.join(max(d.timeout for d in self._order.destinations) + GRACE)
        if self._thread.is_alive():
            logger("outbox").error("outbox process killed")
            self._process.kill()
            self._thread.join()

    def _start(self) -> None:
        with self._guard:
            if self._stop.is_set():
                return
            self._process = subprocess.Popen([sys.executable, "-m", "gateway.outbox"], stdin=subprocess.PIPE)
            assert self._process.stdin is not None
            with suppress(BrokenPipeError):  # it ended at once: its exit code tells
                self._process.stdin.write(self._order.model_dump_json().encode() + b"\n")
                self._process.stdin.flush()

    def _keep_running(self) -> None:
        """Waits for the process; starts it again unless it was told to stop."""
        pause = self._pause
        while not self._stop.is_set():
            assert self._process is not None
            code = self._process.wait()
            _end_input(self._process)
            if self._stop.is_set():
                return
            logger("outbox").error("outbox process ended", code=code, seconds=pause)
            if self._stop.wait(pause):
                return
            pause = min(LONGEST_PAUSE, pause * 2)
            self._start()


def _end_input(process: subprocess.Popen[bytes]) -> None:
    """Tells a process to stop."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
