"""One write transaction at a time in a process, in the order they asked.

SQLite has one writer. A second connection that asks while another writes is put to sleep by SQLite's busy handler, for up to 100 ms at a
time and in no order, so that short transactions of the outbox and of the writer hold each other up for seconds. Within a process nobody
has to sleep: whoever waits is woken at once when it is his turn. Between processes gateway/store/turnstile.py does the same.
"""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["FairLock"]


class FairLock:
    """A lock that is handed over in the order it was asked for. Not reentrant: a transaction inside another would wait for itself."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        try:
            gate.acquire()
        except BaseException:
            self._leave(gate)
            raise

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def _leave(self, gate: threading.Lock) -> None:
        """Stops waiting (an interrupt); a turn that came at this moment goes to the next."""
        with self._guard:
            if gate in self._waiting:
                self._waiting.remove(gate)
                return
        self.__exit__()
