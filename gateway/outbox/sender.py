"""The sender: threads that lease lanes of one destination, deliver what they owe, and keep the outcome.

Lanes are (destination, resident) and one for shared types. A lease is on a lane, so one resident's versions never overtake each other;
several lanes travel in one transaction, which costs the server far less than one each.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.clock import Clock
from gateway.config import DestinationConfig
from gateway.log import logger
from gateway.outbox.leases import Leases
from gateway.outbox.ledger import Ledger, Result
from gateway.outbox.round import Leasing, Round
from gateway.store import deliveries, settlement
from gateway.store.database import Database
from gateway.store.deliveries import Lane
from gateway.store.names import Name
from gateway.upstream import FhirServer, Paused, Retry

LANES = 16
"""Lanes that travel in one transaction at most."""
ALONE = 2
"""Failed attempts after which a lane travels alone, so that it holds up no other."""
TAKE_APART = 5
"""Failed attempts after which a fault that may pass is taken for one resource's own, and the set is taken apart."""
GATHER = 0.25
"""Seconds from one round's begin to that of the next, over all workers of a destination, as long as fewer than LANES are due: what comes
in the meantime travels together. The first after a silence goes at once."""
IDLE = 0.5
"""Seconds after which a worker that found nothing looks again."""
PRUNE_EVERY = timedelta(hours=1)
PRUNE_ROWS = 500
"""Deliveries that are looked at in one step, so that nobody waits for it long."""
LEASE = timedelta(minutes=1)
BUSY = 0.2
"""Seconds until a lane is due again whose resources refer to one that another worker delivers at this moment."""
WHOLE_SERVER = frozenset({"connection", "timeout", "429", "502", "503", "504"})
"""Faults of the server or the way to it: the whole destination is left alone for a while, not only the lanes that met them."""


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
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self.destination = destination
        self.server = server
        self.base = base
        self.clock = clock
        self.chance = chance
        self.timer = timer
        self.pace = Pace(destination.retry_first, destination.retry_limit)
        self.lease = max(LEASE, timedelta(seconds=3 * destination.timeout))
        self.log = logger("outbox")
        self._wake = threading.Event()
        self._begun = threading.Lock()
        self._fresh = True
        self._choosing = threading.Lock()
        self._last = timer() - GATHER  # when the last round began
        self._quiet = timer()  # until when nobody needs to look
        self._token = secrets.token_hex(4)  # two processes on one database have workers of different names
        self._pruning = threading.Lock()
        self._pruned: int | None = 0  # how far; None: to the end
        self._prune_at = datetime.min.replace(tzinfo=UTC)
        self._failures = 0  # rounds in a row that the server as a whole failed
        self._until = datetime.min.replace(tzinfo=UTC)  # the server is left alone until then

    def step(self, worker: str = "0") -> bool:
        """One round: True when some lane was tried, False when nothing was due or the destination is paused or left alone."""
        if self.clock.now() < self._until:
            return False
        leases = Leases(self.database, self.destination.name, worker, self.clock.now, self.lease)
        lanes = leases.claim(LANES)
        if not lanes:
            return False
        stop: Retry | Paused | None = None
        try:
            for group in _groups(lanes):
                if isinstance(stop, Paused) or self.clock.now() < self._until:
                    self._put_off(group, max(self.clock.now(), self._until), "held-back", attempt=False)
                else:
                    stop = self._group(group, leases)
                for lane in group:
                    leases.given_back(lane.name)
        finally:
            leases.close()
        return True

    def _group(self, lanes: Sequence[Lane], leases: Leases) -> Retry | Paused | None:
        """Delivers what these lanes owe. A bug that one of them provokes must not hold up the others: it is logged, and they come back."""
        ledger = Ledger(self.database, self.destination.name)
        leasing = Leasing(leases.take, leases.keep)
        patient = all(lane.attempts < TAKE_APART for lane in lanes)
        wanted = {item for lane in lanes for d in lane.deliveries for item in d.items}
        try:
            result = Round(self.server, ledger, leasing, self.base, self.destination.max_entries, patient=patient).run(wanted)
        except Exception as e:
            self.log.error("delivery round failed", destination=self.destination.name, count=len(lanes), exc_info=e)
            stop = Retry("internal")
            for lane in lanes:
                self._put_off([lane], self._due(lane, stop), stop.code)
            return stop
        self._settle(lanes, wanted, ledger, result)
        return result.stop

    def _settle(self, lanes: Sequence[Lane], wanted: set[Name], ledger: Ledger, result: Result) -> None:
        """Keeps what was sent, owes what that wakes, closes what is whole, puts off what is left, in one transaction; on a lasting fault
        the destination pauses."""
        name, now = self.destination.name, self.clock.now()
        moment = deliveries.micro(now)
        done = {lane.name: [d.id for d in lane.deliveries if not result.left.intersection(d.items)] for lane in lanes}
        whole = {lane.name for lane in lanes if len(done[lane.name]) == len(lane.deliveries)}
        self._pace(result)
        fault = result.stop or result.fault
        with settlement.writing(self.database) as raw:
            settlement.owe(raw, name, ledger.settle(raw, wanted, result, moment), moment)
            settlement.close(raw, name, lanes[0].worker, [d for ids in done.values() for d in ids], whole, moment)
            for lane in lanes:
                if lane.name not in whole:
                    deliveries.put_off(raw, lane, self._due(lane, fault), fault.code if fault else "busy", attempt=fault is not None)
        self._report(lanes, result)

    def _pace(self, result: Result) -> None:
        """When the server itself fails, every worker leaves it alone for a while."""
        stop = result.stop
        if result.accepted:
            self._failures = 0
        if isinstance(stop, Retry) and (stop.code in WHOLE_SERVER or stop.after is not None):
            pause = self.pace.after(self._failures, stop.after, self.chance())
            self._failures += 1
            self._until = self.clock.now() + timedelta(seconds=pause)

    def _due(self, lane: Lane, stop: Retry | Paused | None) -> datetime:
        if stop is None:
            return self.clock.now() + timedelta(seconds=BUSY * (0.5 + self.chance()))
        asked = stop.after if isinstance(stop, Retry) else None
        return self.clock.now() + timedelta(seconds=self.pace.after(lane.attempts, asked, self.chance()))

    def _put_off(self, lanes: Sequence[Lane], due: datetime, code: str, *, attempt: bool = True) -> None:
        for lane in lanes:
            deliveries.retry(self.database, lane, due, code, attempt=attempt)

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

    def recover(self) -> None:
        """Once, before the first step: on SQLite no other process can hold a lease, so what a crash left leased is free at once."""
        with self._begun:
            if self._fresh and self.database.dialect == "sqlite":
                deliveries.abandon(self.database, self.destination.name)
            self._fresh = False

    def run(self, stop: threading.Event, worker: str, idle: float = IDLE) -> None:
        """Steps until stopped; looks again after `idle` seconds, or at once when woken."""
        while not stop.is_set():
            try:
                self.recover()
                pause = self._pause(idle)
                if pause:
                    self.prune()
                elif not self.step(f"{self._token}-{worker}"):
                    pause = idle
            except Exception as e:  # a bug or a database that is away must not end deliveries for good
                self.log.error("delivery round failed", destination=self.destination.name, exc_info=e)
                pause = idle
            if pause:
                self._wake.wait(pause)
                self._wake.clear()

    def _pause(self, idle: float) -> float:
        """Seconds until a worker should look again; 0: a round may begin now. One looks for all, and only reads: what is idle locks nobody
        out."""
        with self._choosing:
            now = self.timer()
            if now < self._quiet:
                return self._quiet - now
            due = deliveries.claimable(self.database, self.destination.name, self.clock.now(), LANES)
            pause = idle if not due else 0.0 if due == LANES else max(0.0, self._last + GATHER - now)
            self._quiet = now + pause
            if not pause:
                self._last = now
            return pause

    def prune(self) -> None:
        """Takes away some deliveries that were finished long ago, when it is time for it; what is left follows when there is time again."""
        if not self._pruning.acquire(blocking=False):
            return
        try:
            now = self.clock.now()
            if self._pruned is not None or now >= self._prune_at:
                self._prune_at = now + PRUNE_EVERY
                before = now - timedelta(days=self.destination.keep_done)
                self._pruned = deliveries.prune(self.database, self.destination.name, self._pruned or 0, before, PRUNE_ROWS)
        finally:
            self._pruning.release()

    def wake(self) -> None:
        """There is something new."""
        self._quiet = self.timer()
        self._wake.set()


def _groups(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """Lanes that travel together, and each that failed some times by itself."""
    together = [lane for lane in lanes if lane.attempts < ALONE]
    return [*([together] if together else []), *([lane] for lane in lanes if lane.attempts >= ALONE)]
