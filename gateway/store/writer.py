"""The writer: one thread a process takes what waits, writes it in one transaction, and answers all after the commit.

On SQLite the transaction is exclusive from its first statement. On PostgreSQL several processes write at once: rows are locked in
sorted order, ids and keys are unique in the schema, nothing authoritative is kept in memory, and a group that lost a race (deadlock,
serialization, a key that another process claimed first) is worked out again from the beginning.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import structlog

from gateway.clock import Clock
from gateway.errors import TransientError, YifangError
from gateway.record import RecordOutcome
from gateway.store.apply import Applier
from gateway.store.composer import Composer
from gateway.store.database import Database, transaction
from gateway.store.flush import EntriesOf, flush
from gateway.store.index.write import START, IndexWriter
from gateway.store.messages import reason_json
from gateway.store.raw import Raw
from gateway.store.residents import Residents
from gateway.store.rules import Rules
from gateway.store.unit import Unit
from gateway.store.work import Answer, NewMessage, Work

__all__ = ["Writer", "message_state"]

log = structlog.get_logger()
ATTEMPTS = 12
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
        self.group = group
        self.groups = 0
        self._queue: queue.Queue[Work | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._merged = START
        self._merge_at = MERGE_GROUPS

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._run, name="yifang-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finishes what waits, then ends the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, work: Work) -> Future[Answer]:
        """Hands work over; blocks while too much waits. The future is answered after the commit, with TransientError when the database
        is away, or with the exception of the work itself."""
        if self._thread is None:
            raise TransientError("网关正在关闭, 未接收; 请稍后重发")
        self._queue.put(work)
        return work.future

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How much waits for the writer."""
        return self._queue.qsize()

    def _run(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=1.0)
            except queue.Empty:
                while self._merge() and self._queue.empty():
                    pass
                continue
            if first is None:
                break
            batch, last = [first], False
            while len(batch) < self.group:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                    break
                batch.append(more)
            self.step(batch)
            if last:
                break
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def step(self, batch: Sequence[Work]) -> None:
        """Writes a group, then does the part of the index's merging that is due."""
        self.commit(batch)
        if self._merged != START or self.groups >= self._merge_at:
            self._merge()

    def commit(self, batch: Sequence[Work]) -> None:
        """Writes a group and answers it. A piece that fails is answered alone; its neighbours are written without it."""
        ready = [w for w in batch if w.future.set_running_or_notify_cancel()]
        for works in _runs(ready):
            self._commit(works)

    def _commit(self, works: list[Work]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                answers = self._transact(works)
            except self.database.races as e:
                log.debug("writer_race", type=type(e).__name__, attempt=attempt)
                if attempt == ATTEMPTS - 1:
                    return _fail(works, TransientError("数据库并发冲突多次重试未果, 未写入; 请稍后重发"))
                time.sleep(0.002 * (attempt + 1) * (1 + (threading.get_ident() >> 4) % 5))
            except self.database.away as e:
                self._forget()
                log.warning("writer_database_away", error=type(e).__name__)
                if attempt >= 2:
                    return _fail(works, TransientError("数据库暂时不可用, 未写入; 请稍后重发"))
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
                self.groups += 1
                for work, answer in zip(works, answers, strict=True):
                    work.future.set_result(answer)
                return None
        return None

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
        items = [i for w in works for i in w.items]
        raw.reserve(16 + sum(4 + len(i.result.drafts) + 2 * len(self.destinations) for i in items))
        unit = Unit(raw, self.rules, self.clock.now(), self.destinations)
        residents = Residents(unit)
        composer = Composer(unit, residents)
        applier = Applier(unit, residents, composer)
        applier.load(items)
        self._seen(unit, works)
        answers = [self._one(unit, applier, work) for work in works]
        _words(unit, works)
        flush(unit, residents, self.indexer, self.index)
        return answers

    def _seen(self, unit: Unit, works: Sequence[Work]) -> None:
        """Looks up which of the group's new messages are stored already, byte for byte, from the same source."""
        digests = {w.message.digest for w in works if isinstance(w.message, NewMessage) and w.message.digest}
        for id_, source, digest in unit.raw.among("SELECT id, source, digest FROM message WHERE digest {}", digests):
            unit.known_messages[(source, digest)] = id_

    def _one(self, unit: Unit, applier: Applier, work: Work) -> Answer:
        changes, deliveries = len(unit.changes), len(unit.deliveries)
        message = work.message if isinstance(work.message, int) else unit.raw.number() if work.message is not None else 0
        outcomes = [applier.apply(i, source=work.source, custodian=work.custodian, message=message, actor=work.actor) for i in work.items]
        value = work.command(unit, applier) if work.command is not None else None
        state, message = self._message(unit, work, message, outcomes)
        for finding in work.findings:
            unit.note(finding, source=work.source, message=message or None, version=None)
        if work.checkpoint is not None:
            unit.raw.upsert("checkpoint", ("source",), ("value", "time"), [(work.source, work.checkpoint, unit.now)])
        return Answer(message, state, outcomes, unit.changes[changes:], len(unit.deliveries) - deliveries, value)

    def _message(self, unit: Unit, work: Work, id_: int, outcomes: Sequence[RecordOutcome]) -> tuple[str, int]:
        new = work.message
        fresh = all(o.state != "repeat" for o in outcomes)
        if isinstance(new, NewMessage):
            return self._new_message(unit, work, new, id_, outcomes, fresh=fresh)
        if not id_:
            return "", 0
        state = work.state
        if state == "?":
            counted = unit.raw.rows("SELECT state, count(*) FROM record_version WHERE message = ? GROUP BY state", [id_])
            state = message_state(Counter(dict(counted)) + Counter(o.state for o in outcomes))
        if state or work.rows is not None:
            unit.raw.run(
                "UPDATE message SET state = COALESCE(?, state), rows = COALESCE(?, rows), fresh = fresh AND ? WHERE id = ?",
                [state or None, work.rows, fresh, id_],
            )
        return state, id_

    def _new_message(self, unit: Unit, work: Work, new: NewMessage, id_: int, outcomes: Sequence[RecordOutcome], *, fresh: bool) -> tuple[str, int]:
        """Stores a new message; one whose bytes are stored already and change nothing is only counted there."""
        state = new.state or message_state(Counter(o.state for o in outcomes))
        known = unit.known_messages.get((new.source, new.digest))
        nothing = all(o.state == "repeat" for o in outcomes) if outcomes else new.state in ("refused", "failed")
        if known is not None and nothing:
            unit.repeated.append((known,))
            return ("repeat" if outcomes else state), known
        rows = work.rows if work.rows is not None else len(outcomes)
        unit.messages.append((id_, new.source, new.name, new.peer, new.media_type, new.charset, new.digest, new.size, unit.now, state, rows,
                              fresh, 0, reason_json(new.reason)))  # fmt: skip
        unit.chunks += [(id_, n, chunk) for n, chunk in enumerate(new.chunks)]
        if new.digest:
            unit.known_messages[(new.source, new.digest)] = id_
        return state, id_

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
        return self._merged != START

    def _forget(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


def message_state(states: Counter[str]) -> str:
    """State of a message from those of its records: mapped, held, refused (all of them), partly."""
    held, refused = states["held"], states["refused"]
    total = sum(states.values())
    if not held and not refused:
        return "mapped"
    if held == total:
        return "held"
    return "refused" if refused == total else "partly"


def _words(unit: Unit, works: Sequence[Work]) -> None:
    """Notes which sources sent something."""
    heard = sorted({w.message.source for w in works if isinstance(w.message, NewMessage)})
    unit.raw.upsert("source_status", ("source",), ("last_word", "last_message", "silent_since"), [(s, unit.now, unit.now, None) for s in heard])


def _runs(works: Sequence[Work]) -> list[list[Work]]:
    """Groups that may share a transaction; a dry run and a command have one of their own."""
    runs: list[list[Work]] = []
    for work in works:
        alone = work.dry or work.command is not None
        if alone or not runs or runs[-1][0].dry or runs[-1][0].command is not None:
            runs.append([work])
        else:
            runs[-1].append(work)
    return runs


def _fail(works: Sequence[Work], fault: Exception) -> None:
    for work in works:
        work.future.set_exception(fault)
