"""One write transaction at a time on an embedded database, whatever process asks, in turn.

The server and its outbox are two processes on one SQLite file. Operating-system locks on two files put them in order: whoever wants to
write takes `queue`, waits for `door` with it, and gives it up once he is through. So the one that has just written stands behind the
one that waits, instead of passing it for as long as it has work; and nobody sleeps in SQLite's busy handler.
"""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path

from gateway.store.fairlock import FairLock

__all__ = ["Turnstile"]

QUEUE, DOOR = "yifang.queue.lock", "yifang.door.lock"


class Turnstile:
    """A lock over threads and processes that share a data folder. Where the system has no such locks, SQLite's busy handler serves."""

    def __init__(self, folder: Path) -> None:
        self._threads = FairLock()
        self._queue, self._door = _opened(folder / QUEUE), _opened(folder / DOOR)
        self.close = weakref.finalize(self, _close, self._queue, self._door)
        """Closes the files; nobody may hold or want the lock."""

    def __enter__(self) -> None:
        self._threads.__enter__()
        try:
            _take(self._queue)
            try:
                _take(self._door)
            finally:
                _give(self._queue)
        except BaseException:
            self._threads.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        _give(self._door)
        self._threads.__exit__()


def _opened(path: Path) -> int | None:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644) if sys.platform != "win32" else None


def _close(*files: int | None) -> None:
    for file in files:
        if file is not None:
            os.close(file)


def _take(file: int | None) -> None:
    if sys.platform != "win32" and file is not None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def _give(file: int | None) -> None:
    if sys.platform != "win32" and file is not None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)
