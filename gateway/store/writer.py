"""The writer: one thread a process takes what waits, writes it in one transaction, and answers all after the commit.

On SQLite the transaction is exclusive from its first statement. On PostgreSQL several processes write at once: rows are locked in
sorted order, ids and keys are unique in the schema, nothing authoritative is kept in memory, and a group that lost a race (deadlock,
serialization, a key that another process claimed first) is worked out again from the beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import structlog

from gateway.clock import Clock
from gateway.errors import TransientError, YifangError
from gateway.store import message_rows
from gateway.store.apply import Applier
from gateway.store.composer import Composer
from gateway.store.database import Database, transaction
from gateway.store.flush import EntriesOf, flush
from gateway.store.index.write import START, IndexWriter
from gateway.store.raw import Raw
from gateway.store.residents import Residents
from gateway.store.rules import Rules
from gateway.store.turns import Turns
from gateway.store.unit import Unit
from gateway.store.work import Answer, NewMessage, Work

__all__ = ["Writer"]

log = structlog.get_logger()
ATTEMPTS = 12
AGAIN = 0.5
"""Seconds after which work that was acknowledged is tried again when the database was away."""
CLOSING = "网关正在关闭, 未接收; 请稍后重发"
MERGE_ROWS = 8000
"""Index postings that one step of a merge moves, in a transaction of its own."""
MERGE_GROUPS = 200
"""Commits after which a round of merging begins although work waits; its steps stand between the following commits."""


class _Dry(Exception):
    """Rolls a dry run back."""


class Writer:
    """Commits work in groups. `rules` may be replaced between groups (a new map set)."""

    def __init__(self, database: Database, clock: Clock, rules: Rules, indexer: EntriesOf, *, destinations: Sequence[str] = (), group: int = 64,
                 waiting: int = 256) -> None:  # fmt: skip
        self.database = database
        self.clock = clock
        self.rules = rules
        self.indexer = indexer
        self.index = IndexWriter(database.dialect)
        self.destinations = tuple(destinations)
        self.groups = 0
        self._turns = Turns(waiting, group)
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._merged = START
        self._merge_at = MERGE_GROUPS

    def start(self) -> None:
        """Starts the thread."""
        self._turns.open()
        self._thread = threading.Thread(target=self._run, name="yifang-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finishes what waits, then ends the thread."""
        if self._thread is not None:
            self._turns.close()
            self._thread.join()
            self._thread = None

    def submit(self, work: Work) -> Future[Answer]:
        """Hands work over; blocks while too much waits. The future is answered after the commit, with TransientError when the database
        is away, or with the exception of the work itself."""
        if self._thread is None or self._turns.closing:
            raise TransientError(CLOSING)
        self._turns.put(work)
        return work.future

    def store(self, message: NewMessage) -> Future[Answer]:
        """Stores a message ahead of its records (`processing`) and notes its id in `message.stored`; 0 stays there when its bytes are
        stored already. Work about it may be submitted at once: it is done after this. Raises as `submit` does."""
        if self._thread is None or self._turns.closing:
            raise TransientError(CLOSING)
        work = Work(message.source, message=message, store=True)
        message.early = True
        work.future.add_done_callback(partial(_stored, message))
        self._turns.store(work)
        return work.future

    def pressed(self, since: float) -> bool:
        """Whether what was accepted at `since` (monotonic seconds) and is answered should leave its turn to messages that come now."""
        return self._turns.pressed(since)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How much waits for the writer."""
        return len(self._turns)

    def _run(self) -> None:
        while (batch := self._turns.take(1.0)) is not None:
            if batch:
                self.step(batch)
                continue
            while self._merge() and not len(self._turns):
                pass
        self._forget()

    def step(self, batch: Sequence[Work]) -> None:
        """Writes a group, then does the part of the index's merging that is due; never between messages that are only to be stored."""
        self.commit(batch)
        if not batch[0].store and (self._merged != START or self.groups >= self._merge_at):
            self._merge()
        self._turns.done(batch)

    def commit(self, batch: Sequence[Work]) -> None:
        """Writes a group (`Turns.take`) and answers it. A piece that fails is answered alone; its neighbours are written without it."""
        ready = [w for w in batch if w.future.running() or w.future.set_running_or_notify_cancel()]
        for works in _runs(ready):
            self._commit(works)

    def _commit(self, works: list[Work]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                answers = self._transact(works)
            except self.database.races as e:
                log.debug("writer_race", type=type(e).__name__, attempt=attempt)
                if attempt == ATTEMPTS - 1:
                    return self._later(works, TransientError("数据库并发冲突多次重试未果, 未写入; 请稍后重发"))
                time.sleep(0.002 * (attempt + 1) * (1 + (threading.get_ident() >> 4) % 5))
            except self.database.away as e:
                self._forget()
                log.warning("writer_database_away", error=type(e).__name__)
                if attempt >= 2:
                    return self._later(works, TransientError("数据库暂时不可用, 未写入; 请稍后重发"))
                time.sleep(0.05)
            except Exception as e:
                self._forget()
                if len(works) == 1:
                    if not isinstance(e, YifangError):
                        log.error("writer_failed", exc_info=e)
                    works[0].future.set_exception(e)
                else:
                    for work in works:
                        self._commit([work])
                return None
            else:
                self.groups += not works[0].store
                for work, answer in zip(works, answers, strict=True):
                    work.future.set_result(answer)
                return None
        return None

    def _later(self, works: Sequence[Work], fault: TransientError) -> None:
        """Fails what somebody waits for, so that it is sent again; what was acknowledged is tried again, until the writer closes."""
        again = [w for w in works if w.ahead is not None] if not self._turns.closing else []
        _fail([w for w in works if w.ahead is None or not again], fault)
        if again:
            self._turns.back(again)
            time.sleep(AGAIN)

    def _transact(self, works: Sequence[Work]) -> list[Answer]:
        if self._connection is None:
            self._connection = self.database.raw()
        answers: list[Answer] = []
        try:
            with self.database.lock, transaction(self._connection, self.database.dialect) as cursor:
                answers = self._work(Raw(cursor, self.database.dialect), works)
                if works[0].dry:
                    raise _Dry
        except _Dry:
            pass
        return answers

    def _work(self, raw: Raw, works: Sequence[Work]) -> list[Answer]:
        if works[0].store:
            now = int(self.clock.now().timestamp() * 1_000_000)
            return [Answer(id_, "processing", [], [], 0) for id_ in message_rows.store_ahead(raw, now, works)]
        items = [i for w in works for i in w.items]
        raw.reserve(16 + sum(4 + len(i.result.drafts) + 2 * len(self.destinations) for i in items))
        unit = Unit(raw, self.rules, self.clock.now(), self.destinations)
        residents = Residents(unit)
        composer = Composer(unit, residents)
        applier = Applier(unit, residents, composer)
        applier.load(items)
        unit.known_messages = message_rows.known(raw, works)
        answers = [self._one(unit, applier, work) for work in works]
        message_rows.heard(raw, unit.now, works)
        flush(unit, residents, self.indexer, self.index)
        return answers

    def _one(self, unit: Unit, applier: Applier, work: Work) -> Answer:
        changes, deliveries = len(unit.changes), len(unit.deliveries)
        message = _id(unit, work.message)
        outcomes = [applier.apply(i, source=work.source, custodian=work.custodian, message=message, actor=work.actor) for i in work.items]
        value = work.command(unit, applier) if work.command is not None else None
        state, message = message_rows.put_down(unit, work, message, outcomes)
        for finding in work.findings:
            unit.note(finding, source=work.source, message=message or None, version=None)
        if work.checkpoint is not None:
            unit.raw.upsert("checkpoint", ("source",), ("value", "time"), [(work.source, work.checkpoint, unit.now)])
        return Answer(message, state, outcomes, unit.changes[changes:], len(unit.deliveries) - deliveries, value)

    def _merge(self) -> bool:
        """Moves some fresh index entries to their place, between groups, in a short transaction of its own; whether more are left."""
        self._merge_at = self.groups + MERGE_GROUPS
        try:
            if self._connection is None:
                self._connection = self.database.raw()
            with self.database.lock, transaction(self._connection, self.database.dialect) as cursor:
                self._merged = self.index.merge_step(cursor, MERGE_ROWS, self._merged) or START
        except (*self.database.races, *self.database.away) as e:
            self._forget()
            log.warning("index_merge_postponed", error=type(e).__name__)
            return False
        except Exception as e:  # entries that are not merged yet are found all the same: no reason to stop writing
            self._forget()
            log.error("index_merge_failed", exc_info=e)
            return False
        return self._merged != START

    def _forget(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


def _runs(works: Sequence[Work]) -> list[list[Work]]:
    """Groups that may share a transaction; a dry run and a command have one of their own."""
    runs: list[list[Work]] = []
    for work in works:
        if work.alone or not runs or runs[-1][0].alone:
            runs.append([work])
        else:
            runs[-1].append(work)
    return runs


def _id(unit: Unit, message: NewMessage | int | None) -> int:
    """The id of a piece of work's message, a new one where it has none yet; 0 when there is no message."""
    if isinstance(message, NewMessage):
        return message.stored or unit.raw.number()
    return message or 0


def _stored(message: NewMessage, stored: Future[Answer]) -> None:
    message.stored = 0 if stored.cancelled() or stored.exception() is not None else stored.result().message
    message.early = bool(message.stored)


def _fail(works: Sequence[Work], fault: Exception) -> None:
    for work in works:
        work.future.set_exception(fault)
