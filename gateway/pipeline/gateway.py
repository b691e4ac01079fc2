"""The gateway of one process: sources, their bindings, the writer, and what people do to messages, holds and residents."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Self

import structlog
from sqlalchemy import select

from gateway import builtin
from gateway.clock import Clock, SystemClock
from gateway.config import Config, SourceConfig
from gateway.errors import Finding, TransientError, YifangError
from gateway.fhir.ids import IdScheme
from gateway.mapping.compile import MapContext
from gateway.metrics import Metrics
from gateway.pipeline import repair
from gateway.pipeline.binding import Binding, Catalogue
from gateway.pipeline.ingest import Ingest, crashed
from gateway.pipeline.intake import SourceIntake
from gateway.pipeline.lane import Arrival, Lane, Limits, resumed
from gateway.pipeline.status import SourceStatus, statuses
from gateway.record import Incoming, Receipt, RecordOutcome
from gateway.store import messages
from gateway.store import tables as t
from gateway.store.database import Database
from gateway.store.flush import EntriesOf
from gateway.store.index.keys import default_indexer
from gateway.store.messages import StoredMessage
from gateway.store.outcomes import outcomes
from gateway.store.rules import Rules
from gateway.store.work import NewMessage, Work
from gateway.store.writer import Writer

__all__ = ["Gateway"]

LOOK = 0.5
"""Seconds between looks for a new active map set, taken at a message boundary."""

WORD = 10.0
"""Seconds between two signs of life of one source that are written; a connection gives one with every packet."""

CLOSING = 5.0
"""Seconds that a gateway which closes goes on mapping what was acknowledged already; the next start does the rest."""

log = structlog.get_logger()


class Gateway:
    """Everything between a message and its receipt. Safe from any thread. `with Gateway(...) as gateway:` starts and closes it."""

    def __init__(self, config: Config, database: Database, catalogue: Catalogue, clock: Clock | None = None, *, indexer: EntriesOf | None = None
                 ) -> None:  # fmt: skip
        self.config = config
        self.database = database
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.catalogue = catalogue
        self.context = MapContext(IdScheme(database.deployment_key(), config.base))
        self.metrics = Metrics()
        destinations = [d.name for d in config.destination]
        self.writer = Writer(
            database,
            self.clock,
            _rules(catalogue),
            indexer if indexer is not None else default_indexer(),
            destinations=destinations,
            group=config.store.group,
            waiting=config.store.waiting,
        )
        self.metrics.watch(lambda: self.writer.waiting)
        self._room = threading.BoundedSemaphore(config.store.waiting)
        self._lanes: dict[str, Lane] = {}
        self._ingests: dict[str, Ingest] = {}
        self._lock = threading.Lock()
        self._build: Callable[[bytes], Catalogue] | None = None
        self._map_set = 0
        self._looked = 0.0
        self._words: dict[str, float] = {}  # source -> when its last sign of life was written

    # -- life --------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the writer; what a crash left behind is finished before anything new of the same source."""
        self.writer.start()
        self._resume()

    def close(self) -> None:
        """Waits for what was accepted, then stops. Messages that were acknowledged ahead of their records are mapped for a few seconds more;
        what is left of them stays `processing` for the next start."""
        with self._lock:
            lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.close(CLOSING)
        for lane in lanes:
            lane.join()
        self.writer.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- messages ----------------------------------------------------------------------------------------------------------------

    def accept(self, source: str, incoming: Incoming) -> Future[Receipt]:
        """Takes a message; blocks while too much waits. The future is done after the commit, or fails with TransientError when the
        message could not be stored. Messages of one source are taken in order. A sender that waits only for durability
        (`incoming.waits_for`) is told `accepted` as soon as that is given, when others of the source are in work."""
        self._room.acquire()
        return self._enter(source, incoming)

    def offer(self, source: str, incoming: Incoming) -> Future[Receipt] | None:
        """Like `accept`, but gives None instead of blocking."""
        return self._enter(source, incoming) if self._room.acquire(blocking=False) else None

    def _enter(self, source: str, incoming: Incoming) -> Future[Receipt]:
        told: Future[Receipt] = Future()
        told.add_done_callback(lambda _: self._room.release())
        try:
            self._lane(source).enter(Arrival(incoming, told, time.monotonic()))
        except BaseException:
            told.cancel()
            raise
        return told

    def _take(self, source: str, lane: Lane, arrival: Arrival) -> None:
        """Maps a message in its source's lane; the answer follows from the writer's thread."""
        try:
            self._follow()
            taken = self.ingest(source).take(arrival.incoming, arrival.ahead)
        except Exception as e:
            self._failed(lane, arrival, e)
        else:
            taken.add_done_callback(partial(self._written, source, lane, arrival))

    def _written(self, source: str, lane: Lane, arrival: Arrival, taken: Future[Receipt]) -> None:
        """After the commit, in the writer's thread: counts the message and tells its sender, if that was not done before."""
        try:
            receipt = taken.result()
            self.metrics.count(source, receipt, time.monotonic() - arrival.began)
            self.metrics.last_word.labels(source).set(self.clock.now().timestamp())
        except Exception as e:
            self._failed(lane, arrival, e)
            return
        lane.finished(arrival)
        if not arrival.told.done():
            arrival.told.set_result(receipt)

    def _failed(self, lane: Lane, arrival: Arrival, fault: Exception) -> None:
        """Tells the sender; one that was answered already cannot be told, so the message itself says that it failed. What may be tried
        again stays `processing`: the gateway is closing, and the next start does it."""
        lane.finished(arrival)
        if not arrival.told.done():
            arrival.told.set_exception(fault)
        if arrival.ahead is not None and arrival.answered and not isinstance(fault, TransientError):
            with contextlib.suppress(TransientError):
                lane.run(partial(self._set_down, arrival.ahead, crashed(fault)))

    def _set_down(self, message: NewMessage, reason: Finding) -> None:
        message.state, message.reason = "failed", reason
        self.writer.submit(Work(message.source, message=message))

    def _lane(self, source: str) -> Lane:
        with self._lock:
            found = self._lanes.get(source)
            if found is None:
                self.config.source_named(source)
                store = self.config.store
                found = lane = Lane(source, partial(self._take, source), self.writer, Limits(store.backlog, store.backlog_bytes, store.chunk))
                self._lanes[source] = found
                self.metrics.backlog.labels(source).set_function(lambda: lane.backlog)
            return found

    def ingest(self, source: str) -> Ingest:
        """The source's way through the present maps. Raises ConfigError or MapError."""
        with self._lock:
            found = self._ingests.get(source)
            if found is None:
                config = self.config.source_named(source)
                binding: Binding = self.catalogue.bind(config)
                found = Ingest(config, binding, self.context, self.database, self.writer, self.config.store.chunk)
                self._ingests[source] = found
            return found

    def binding(self, source: str) -> Any:
        """The binding of one source under the present maps."""
        return self.ingest(source).binding

    def intake(self, source: str) -> SourceIntake:
        """What an adapter's feed gets."""
        self.config.source_named(source)
        return SourceIntake(self, source)

    def outcomes(self, message: int) -> Iterator[RecordOutcome]:
        """What became of every record of a message, in the order of its rows, read as it is gone through."""
        return (found.outcome for found in outcomes(self.database, message))

    def resume(self) -> int:
        """Finishes messages that a crash left `processing`, in the order in which they were accepted; how many there were."""
        for done in (left := self._resume()):
            with contextlib.suppress(YifangError):
                done.result()
        return len(left)

    def _resume(self) -> list[Future[Receipt]]:
        """Puts them into their sources' lanes, before anything new."""
        found: list[Future[Receipt]] = []
        for message in messages.unfinished(self.database):
            try:
                lane = self._lane(message.source)
                if message.rows or message.size > self.config.store.chunk:
                    found.append(lane.run(partial(self._process, message)))
                else:
                    arrival = resumed(self.database, message)
                    lane.again(arrival)
                    found.append(arrival.told)
            except YifangError as e:  # a source that is no longer configured must not keep the others from starting
                log.error("resume_failed", message=message.id, source=message.source, exc_info=e)
        return found

    def _process(self, message: StoredMessage) -> Receipt:
        try:
            return self.ingest(message.source).process(message)
        except Exception as e:  # a source whose maps no longer check: the message waits for the next start
            log.error("resume_failed", message=message.id, source=message.source, exc_info=e)
            raise

    # -- sources -----------------------------------------------------------------------------------------------------------------

    def checkpoint(self, source: str) -> str | None:
        """The last durable checkpoint of a source."""
        with self.database.engine.connect() as connection:
            value: str | None = connection.scalar(select(t.checkpoint.c.value).where(t.checkpoint.c.source == source))
        return value

    def remark(self, source: str, finding: Finding) -> None:
        """Keeps a finding of the source itself (lost column, broken connection)."""
        self.metrics.findings.labels(source, finding.severity).inc()
        self.writer.submit(Work(source, findings=[finding]))

    def alive(self, source: str) -> None:
        """A source answered, even when it had nothing new."""

        def word(unit: Any, _applier: object) -> None:
            unit.raw.upsert("source_status", ("source",), ("last_word", "silent_since"), [(source, unit.now, None)])

        now = self.clock.now().timestamp()
        self.metrics.last_word.labels(source).set(now)
        if not 0 <= now - self._words.get(source, 0.0) < WORD:
            self._words[source] = now
            self.writer.submit(Work(source, command=word, joins=True))

    def sources(self) -> list[SourceStatus]:
        """How each configured source is doing."""
        found = statuses(self.database, self.config, self.clock.now())
        for status in found:
            self.metrics.silent.labels(status.name).set(status.silent)
        return found

    # -- maps --------------------------------------------------------------------------------------------------------------------

    def follow(self, build: Callable[[bytes], Catalogue]) -> None:
        """How a stored map set becomes a catalogue; from now on this process uses whatever set is active."""
        self._build = build
        self._follow(force=True)

    def refresh(self) -> None:
        """Takes over a map set that another process activated, also while no message comes; a look at most every LOOK seconds."""
        self._follow()

    def activate(self, snapshot: bytes, version: str, catalogue: Catalogue) -> int:
        """Makes a checked map set the active one of every process on this database; its number."""

        def store(unit: Any, _applier: object) -> int:
            id_: int = unit.raw.number()
            unit.raw.run("UPDATE map_set SET active = ? WHERE active = ?", [False, True])
            names = ("id", "version", "snapshot", "active", "activated")
            unit.raw.insert("map_set", names, [(id_, version, snapshot, True, unit.now)])
            unit.event("map-set", seq=unit.raw.sequence())
            return id_

        number: int = self.writer.submit(Work(command=store)).result().value
        self._use(number, catalogue)
        return number

    def _follow(self, *, force: bool = False) -> None:
        """At a message boundary: takes over a map set that another process activated."""
        if self._build is None or (not force and time.monotonic() - self._looked < LOOK):
            return
        self._looked = time.monotonic()
        active = t.map_set.c.active
        with self.database.engine.connect() as connection:
            number = connection.scalar(select(t.map_set.c.id).where(active))
            if number is None or number == self._map_set:
                return
            snapshot = connection.scalar(select(t.map_set.c.snapshot).where(t.map_set.c.id == number))
        assert snapshot is not None
        self._use(number, self._build(bytes(snapshot)))

    def _use(self, number: int, catalogue: Catalogue) -> None:
        with self._lock:
            self.catalogue, self._map_set = catalogue, number
            self._ingests.clear()
            self.writer.rules = _rules(catalogue)

    # -- what people do ----------------------------------------------------------------------------------------------------------

    def replay(self, message: int) -> Future[Receipt]:
        """Maps a stored message again with the present maps; NotFound when there is none."""
        stored = messages.show(self.database, message)
        return self._lane(stored.source).run(partial(repair.replay, self, stored))

    def remap(self, *, preview: bool = True, dataset: str | None = None) -> repair.RemapReport:
        """Maps the current version of every record anew whose map changed since; with `preview` only says what would change."""
        self._follow(force=True)
        return repair.remap(self, preview=preview, dataset=dataset)

    def release(self, hold: int, by: str) -> RecordOutcome:
        """Writes a held record in spite of its findings. Conflict when it is decided already or cannot be written at all."""
        return repair.release(self, hold, by)

    def reject(self, hold: int, by: str, reason: str) -> None:
        """Keeps a held record unwritten for good."""
        repair.reject(self, hold, by, reason)

    def link(self, a: str, b: str, by: str) -> str:
        """Makes two Patients (ids) one; the id of the one that stays."""
        return repair.link(self, a, b, by)

    def unlink(self, patient: str, by: str) -> None:
        """Gives a linked-away Patient (id) back exactly what was its own."""
        repair.unlink(self, patient, by)

    def source_of(self, name: str) -> SourceConfig:
        """The configuration of a source."""
        return self.config.source_named(name)


def _rules(catalogue: Catalogue) -> Rules:
    """The store's own tables from the map set; the built-in ones where the set has none."""
    files = getattr(catalogue, "files", None)
    if files and any(p.startswith("tables/") for p in files):
        return Rules.from_files(files)
    return Rules.from_folder(builtin.MAPPINGS)
