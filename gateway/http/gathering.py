"""Reads of current resources from a database server: those that come while one is under way share the next statement.

A thread and a round trip for each read would cost several times the read itself.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from gateway.store.reads import Current, Reads
from gateway.store.scope import Scope

__all__ = ["Gathering"]

MOST = 64
"""Resources that one statement reads."""


class _Wish(NamedTuple):
    type: str
    id: str
    scope: Scope
    answer: asyncio.Future[Current | None]


class Gathering:
    """Used by one event loop at a time."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._waiting: list[_Wish] = []
        self._reader: asyncio.Task[None] | None = None

    async def current(self, type_: str, id_: str, scope: Scope) -> Current | None:
        """As `Reads.current`, as it stands after the call: a statement that has begun before is not joined."""
        answer: asyncio.Future[Current | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Wish(type_, id_, scope, answer))
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        try:
            while self._waiting:
                scope = self._waiting[0].scope
                group: list[_Wish] = []
                others: list[_Wish] = []
                for wish in self._waiting:
                    (group if wish.scope == scope and len(group) < MOST else others).append(wish)
                self._waiting = others
                await self._answer(group, scope)
        finally:
            self._reader = None
            for wish in self._waiting:  # only when the loop ends
                wish.answer.cancel()
            self._waiting = []

    async def _answer(self, group: list[_Wish], scope: Scope) -> None:
        wanted = [w for w in group if not w.answer.done()]  # whoever asked may be gone, now or afterwards
        try:
            found = await asyncio.to_thread(self._reads.currents, [(w.type, w.id) for w in wanted], scope)
        except Exception as e:
            for wish in wanted:
                if not wish.answer.done():
                    wish.answer.set_exception(e)
        else:
            for wish in wanted:
                if not wish.answer.done():
                    wish.answer.set_result(found.get((wish.type, wish.id)))
