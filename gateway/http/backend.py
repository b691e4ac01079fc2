"""What interactions share: the site, fast reads, the writer, the searcher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from gateway.errors import TransientError
from gateway.http.asynchronous import Tasks
from gateway.http.gathering import Gathering
from gateway.http.problems import Problem
from gateway.http.turns import Turns
from gateway.site import Site
from gateway.store.api.mentions import Rids
from gateway.store.reads import Reads
from gateway.store.search import Searcher
from gateway.store.work import Answer, Work

__all__ = ["Backend"]

T = TypeVar("T")
BUSY = 100
"""Pieces of work that wait for the writer, from which on handing over might block: then a thread does it."""


class Backend:
    """One application's way to the store."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.database = site.database
        self.reads = Reads(site.database)
        site.database.closing.append(self.reads.close)
        self.gathering = Gathering(self.reads)
        self.searcher = Searcher(site.indexer, site.gateway.context.ids.key)
        self.turns = Turns()
        self.rids = Rids()
        self.tasks = Tasks(site)
        self.away: tuple[type[Exception], ...] = (*site.database.away, OperationalError, InterfaceError, TimeoutError, TransientError)
        self.statements: dict[str, bytes] = {}  # base as clients reach it -> CapabilityStatement
        self.terms: dict[str, Mapping[tuple[str, str], Any]] = {}  # version of the active mapping set -> its tables as resources

    async def reading(self, read: Callable[[], T]) -> T:
        """A short read: in place on SQLite, where a thread would cost more than the read; in a thread where it waits for a server."""
        return read() if self.reads.sqlite else await asyncio.to_thread(read)

    async def searching(self, search: Callable[[], T]) -> T:
        """A search, in a thread; on SQLite one at a time, as long as they are short (gateway/http/turns.py)."""
        return await (self.turns.take(search) if self.reads.sqlite else asyncio.to_thread(search))

    async def write(self, work: Work) -> Answer:
        """Hands work to the writer and waits for its commit. Problem 503 when it could not be stored."""
        writer = self.site.gateway.writer
        try:
            future: Future[Answer] = await asyncio.to_thread(writer.submit, work) if writer.waiting > BUSY else writer.submit(work)
            return await asyncio.wrap_future(future)
        except TransientError:
            zh, en = "暂时无法保存, 未写入; 请稍后重试", "Could not be stored now; try again later"
            raise Problem(503, "transient", zh, en, headers={"Retry-After": "5"}) from None
