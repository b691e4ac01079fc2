"""Short work in threads, one piece at a time.

SQLite gives the interpreter lock away at every row, so that searches which run at once take it from each other some hundred times each and
spend three times the processor time of the same searches one after the other. A piece that takes longer than PATIENCE no longer
counts: the next begins beside it, so a heavy search holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

__all__ = ["PATIENCE", "Turns"]

T = TypeVar("T")
PATIENCE = 0.02
"""Seconds that a piece of work may have to itself."""


class Turns:
    """Whose turn it is, in each event loop by itself."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def take(self, work: Callable[[], T]) -> T:
        """What the work gives, done in a thread when its turn has come."""
        loop = asyncio.get_running_loop()
        turn = self._turns.setdefault(loop, asyncio.Semaphore(1))
        await turn.acquire()
        late = loop.call_later(self._patience, turn.release)
        try:
            return await loop.run_in_executor(None, work)
        finally:
            if late.when() > loop.time():  # else it has given the turn away, or is about to
                late.cancel()
                turn.release()
