"""The sender: threads that lease lanes of one destination, deliver what they owe, and keep the outcome.

Lanes are (destination, resident) and one for shared types. A lease is on a lane, so one resident's versions never overtake each other;
several lanes travel in one transaction, which costs the server far less than one each.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.clock import Clock
from gateway.config import DestinationConfig
from gateway.fhir.json import Resource, decode
from gateway.log import logger
from gateway.outbox.bundle import Name
from gateway.outbox.round import Held, Ports, Result, Round
from gateway.outbox.state import State
from gateway.store import deliveries, resources
from gateway.store.database import Database
from gateway.store.deliveries import Lane, Sent
from gateway.store.scope import Scope
from gateway.upstream import FhirServer, Paused, Retry

LANES = 16
"""Lanes that travel in one transaction at most."""
LEASE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pace:
    """Pauses between repeats: first, doubling, at most limit; half of it by chance, so that gateways do not come back in step."""

    first: float
    limit: float

    def after(self, attempts: int, asked: float | None, chance: float) -> float:
        """Seconds until the next attempt; what the server asked for is the least."""
        pause: float = min(self.limit, self.first * 2.0 ** min(attempts, 30))
        return max(asked or 0.0, pause * (0.5 + chance / 2))


class Sender:
    """Delivers to one destination until told to stop. `step` does one round and is what tests call."""

    def __init__(
        self,
        database: Database,
        destination: DestinationConfig,
        server: FhirServer,
        base: str,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.database = database
        self.destination = destination
        self.server = server
        self.base = base
        self.clock = clock
        self.chance = chance
        self.state = State(database, destination.name)
        self.pace = Pace(destination.retry_first, destination.retry_limit)
        self.log = logger("outbox")
        self._wake = threading.Event()

    def step(self, worker: str = "0") -> bool:
        """One round: True when some lane was tried, False when nothing was due or the destination is paused."""
        name = self.destination.name
        lanes = deliveries.claim(self.database, name, worker, self.clock.now(), LEASE, LANES)
        if not lanes:
            return False
        wanted: set[Name] = {item for lane in lanes for d in lane.deliveries for item in d.items}
        round_ = Round(self.server, self.state, Ports(self._held, self._versions), self.base, self.clock.now, self.destination.max_entries)
        self._settle(lanes, round_.run(wanted))
        return True

    def _held(self, names: set[Name]) -> dict[Name, Held]:
        found = deliveries.current(self.database, self.destination.name, sorted(names))
        return {(h.type, h.id): Held(h.version, None if h.deleted else h.content, h.delivered or 0, h.etag or "") for h in found}

    def _versions(self, name: Name) -> Iterable[Resource]:
        with self.database.engine.connect() as connection:
            stored = resources.history(connection, *name, Scope.all())
        return [decode(v.content) for v in stored if not v.deleted]

    def _settle(self, lanes: Sequence[Lane], result: Result) -> None:
        """Keeps what was sent; on a passing fault the lanes that are not whole come back later, on a lasting one the destination pauses."""
        now = self.clock.now()
        sent = [Sent(s.name[0], s.name[1], s.version, s.etag) for s in result.sent.values()]
        for lane in lanes:
            done = [d.id for d in lane.deliveries] if result.stop is None else []
            deliveries.finish(self.database, lane, done=done, sent=sent, now=now)
            sent = []
            if result.stop is None:
                continue
            after = result.stop.after if isinstance(result.stop, Retry) else None
            due = now + timedelta(seconds=self.pace.after(lane.attempts, after, self.chance()))
            deliveries.retry(self.database, lane, due, result.stop.code)
        self._report(lanes, result)

    def _report(self, lanes: Sequence[Lane], result: Result) -> None:
        name = self.destination.name
        if isinstance(result.stop, Paused):
            deliveries.pause(self.database, name, result.stop.reason, self.clock.now())
            self.log.error("destination paused", destination=name, code=result.stop.code)
        elif isinstance(result.stop, Retry):
            self.log.warning("delivery will be repeated", destination=name, code=result.stop.code, count=len(lanes))
        if result.refused:
            self.log.warning("resources refused by destination", destination=name, count=len(result.refused))
        if result.sent:
            self.log.debug("delivered", destination=name, resources=len(result.sent))

    def run(self, stop: threading.Event, worker: str, idle: float = 0.5) -> None:
        """Steps until stopped; looks again after `idle` seconds, or at once when woken."""
        while not stop.is_set():
            try:
                busy = self.step(worker)
            except Exception as e:  # a bug or a database that is away must not end deliveries for good
                self.log.error("delivery round failed", destination=self.destination.name, exc_info=e)
                busy = False
            if not busy:
                self._wake.wait(idle)
                self._wake.clear()

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()
