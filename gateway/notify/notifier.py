"""The notifier: takes Subscriptions up, gives their events numbers, and tells their receivers, in order, until told to stop.

| state | how it is entered | how it is left |
| --- | --- | --- |
| requested | a client writes it; `yifang subscriptions restart` | the handshake is answered 2xx: active; refused, or failing for too long: error |
| active | the handshake | the receiver fails for too long, its address or client is not allowed any more: error; `end` has come: off |
| error | see above, with the reason | a client writes `requested`; `yifang subscriptions restart` |
| off | a client writes it, or deletes the Subscription; `end` has come | a client writes `requested`; `yifang subscriptions restart` |
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta

from gateway.clock import Clock
from gateway.config import Config
from gateway.errors import Refused, TransientError
from gateway.fhir.json import decode
from gateway.log import logger
from gateway.notify.change import ACTOR, Change, Status
from gateway.notify.notice import Kind, State, notice
from gateway.notify.numbering import number
from gateway.notify.reasons import CALLER_GONE, ENDED, FOREIGN, GAVE_UP, INTERNAL, REFUSED, told
from gateway.notify.topics import topics
from gateway.notify.wish import PAYLOAD, Wish, read_wish
from gateway.outbox.sender import Pace
from gateway.store import subscriptions
from gateway.store.api.asks import Denied
from gateway.store.api.mentions import Rids
from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.events import horizon
from gateway.store.scope import Scope
from gateway.store.settlement import writing
from gateway.store.subscriptions import Held, Noted, Standing, Taken
from gateway.store.work import Answer, Work
from gateway.upstream.hook import Hook, Refusal

__all__ = ["Notifier", "caller_known"]

IDLE = 0.5
"""Seconds after which a thread that found nothing looks again."""
LEASE = timedelta(minutes=1)
LONGEST_WISH = 24 * 3600.0
"""Seconds that a receiver's Retry-After can put a repeat off at most."""
SWEEP = timedelta(hours=1)
"""Between two looks for events that are old enough to be forgotten."""
STATUSES = frozenset({"requested", "active", "error", "off"})
Submit = Callable[[Work], "Future[Answer]"]


def caller_known(config: Config, caller: str) -> bool:
    """Whether the client that asked for a Subscription may still be told anything."""
    return caller in {c.name for c in config.client} if config.client else True


class Notifier:
    """Serves the Subscriptions of one database. `tend` and `step` do one round each and are what tests call. submit: the writer's."""

    def __init__(self, database: Database, config: Config, submit: Submit, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self.database = database
        self.config = config
        self.settings = config.notify
        self.address = (config.notify.address or config.base).rstrip("/")
        self.topics = topics(config.base, config.profiles)
        self.submit = submit
        self.clock = clock
        self.chance = chance
        self.hook = Hook(config.notify.verify, clock.now)
        self.pace = Pace(config.notify.retry_first, config.notify.retry_limit)
        self.lease = max(LEASE, timedelta(seconds=3 * config.notify.timeout))
        self.log = logger("notify")
        self._rids = Rids()
        self._wishes: dict[tuple[str, int], Wish | str] = {}
        self._wake = threading.Event()
        self._token = secrets.token_hex(4)  # two processes on one database have workers of different names
        self._swept = clock.now()

    # -- taking up, numbering ----------------------------------------------------------------------------------------------------

    def tend(self) -> bool:
        """Takes up what clients wrote, and gives numbers to what happened; True when there is more to do at once."""
        for held in subscriptions.new_of(self.database):
            self._take_up(held)
        for standing in subscriptions.standings(self.database, "active"):
            self._review(standing)
        more = number(self.database, self._wish_of)
        now = self.clock.now()
        if now - self._swept >= SWEEP:
            self._swept = now
            subscriptions.forget(self.database, now - timedelta(days=self.settings.keep_events))
        return more

    def _take_up(self, held: Held) -> None:
        """Enters a new version of a Subscription. One that says `active` or `error` of itself is not believed."""
        body = {} if held.deleted else decode(held.content)
        status = body["status"] if body.get("status") in STATUSES else "off"
        foreign = status in ("active", "error") and held.actor != ACTOR
        wish = self._read(body) if status == "requested" else None
        taken = Taken(
            held.id,
            held.version,
            "error" if foreign else status,
            held.actor,
            self._begin(held),
            wish.heartbeat * 1_000_000 if isinstance(wish, Wish) and wish.heartbeat else None,
            wish.ends if isinstance(wish, Wish) else None,
            FOREIGN if foreign else None,
        )
        with writing(self.database) as raw:
            entered = subscriptions.take_up(raw, taken, micro(self.clock.now()))
        if entered:
            self.log.info("subscription taken up", subscription=held.id, version=held.version, state=taken.state)
        if entered and foreign:
            self._change(held.id, held.version, "error", FOREIGN)

    def _review(self, s: Standing) -> None:
        """One that can be served no more, by the configuration of today, is in error although nothing is owed to it."""
        if not caller_known(self.config, s.caller):
            self._change(s.id, s.version, "error", CALLER_GONE)
        elif isinstance(found := self._asked(s), str):
            self._change(s.id, s.version, "error", REFUSED.format(reason=found))

    def _begin(self, held: Held) -> int:
        """Where a new Subscription begins in the timeline: what is committed from now on has its place behind, whatever began before."""
        with self.database.engine.connect() as connection:
            below = horizon(connection)
        return held.seq if below is None else min(held.seq, below - 1)

    def _read(self, body: dict[str, object]) -> Wish | str:
        """What a Subscription asks for, or why that cannot be served."""
        try:
            return read_wish(body, self.topics, self.settings.endpoints)
        except Refused as e:
            return e.finding.message

    def _asked(self, s: Standing) -> Wish | str | None:
        """The same of the version that was taken up; None when that is not the present one any more."""
        key = s.id, s.version
        if key not in self._wishes:
            found = subscriptions.words(self.database, s.id, Scope.all(s.caller))
            if found is None or found[0] != s.version:
                return None
            if len(self._wishes) > 10_000:
                self._wishes.clear()
            self._wishes[key] = self._read(decode(found[1]))
        return self._wishes[key]

    def _wish_of(self, s: Standing) -> Wish | None:
        found = self._asked(s)
        return found if isinstance(found, Wish) else None

    # -- telling -----------------------------------------------------------------------------------------------------------------

    def step(self, worker: str = "0") -> bool:
        """Serves one Subscription; False when none is due."""
        now = self.clock.now()
        standing = subscriptions.claim(self.database, worker, micro(now), micro(now + self.lease))
        if standing is None:
            return False
        try:
            self._serve(standing, worker)
        except TransientError:  # the gateway is closing
            self._put_off(standing, worker, IDLE, None)
        except Exception as e:  # a bug that one of them provokes must not hold up the others
            self.log.error("notification failed", subscription=standing.id, exc_info=e)
            self._put_off(standing, worker, self.pace.after(standing.attempts, None, self.chance()), INTERNAL)
        return True

    def _serve(self, s: Standing, worker: str) -> None:
        present = subscriptions.words(self.database, s.id, Scope.all(s.caller))
        found = self._asked(s) if present is not None and present[0] == s.version else None
        if found is None:
            self._put_off(s, worker, IDLE, None)  # a client wrote it meanwhile: that is taken up first
        elif s.ends is not None and s.ends <= micro(self.clock.now()):
            self._leave(s, worker, "off", ENDED)
        elif not caller_known(self.config, s.caller):
            self._leave(s, worker, "error", CALLER_GONE)
        elif isinstance(found, str):
            self._leave(s, worker, "error", REFUSED.format(reason=found))
        elif s.state == "requested":
            self._shake_hands(s, worker, found)
        else:
            self._tell(s, worker, found)

    def _shake_hands(self, s: Standing, worker: str, wish: Wish) -> None:
        refusal = self._post(s, wish, "handshake")
        if refusal is None:
            self._leave(s, worker, "active", "")
        elif refusal.lasting:
            self._leave(s, worker, "error", REFUSED.format(reason=told(refusal)))
        else:
            self._failed(s, worker, refusal)

    def _tell(self, s: Standing, worker: str, wish: Wish) -> None:
        """The next events in one notification, or, when there is none, a heartbeat."""
        events = subscriptions.events(self.database, s.id, s.sent + 1, s.number, wish.max_count)
        if not events and s.number > s.sent:
            raise RuntimeError("events that are owed are not there")
        refusal = self._post(s, wish, "event-notification" if events else "heartbeat", self._seen(s, events))
        if refusal is not None:
            self._failed(s, worker, refusal)
            return
        subscriptions.settle(self.database, s.id, worker, events[-1].number if events else s.sent, micro(self.clock.now()))
        if events:
            self.log.debug("notified", subscription=s.id, count=len(events))

    def _seen(self, s: Standing, events: list[Noted]) -> list[Noted]:
        """The events as the client may see them now: one about what it may not see keeps its number and says no more."""
        seen = subscriptions.seen(self.database, {(e.type, e.id) for e in events}, Scope.all(s.caller))
        return [e if (e.type, e.id) in seen else Noted(e.number, e.seq, e.time, "", "", 0, e.how) for e in events]

    def _post(self, s: Standing, wish: Wish, kind: Kind, events: list[Noted] | None = None) -> Refusal | None:
        state = State(s.id, s.state, wish.topic.url, s.number)
        body = notice(state, kind, self.address, micro(self.clock.now()), events or [], focus=wish.content == "id-only")
        timeout = min(wish.timeout or self.settings.timeout, self.settings.timeout)
        return self.hook.post(wish.endpoint, body, {**wish.headers, "Content-Type": PAYLOAD}, timeout)

    # -- what comes of it --------------------------------------------------------------------------------------------------------

    def _failed(self, s: Standing, worker: str, refusal: Refusal) -> None:
        """Again after a pause, or never when it failed for too long."""
        now = micro(self.clock.now())
        since = s.failing if s.failing is not None else now
        self.log.warning("receiver did not take it", subscription=s.id, code=refusal.code, attempt=s.attempts + 1)
        if now - since >= self.settings.give_up * 3_600_000_000:
            self._leave(s, worker, "error", GAVE_UP.format(hours=f"{self.settings.give_up:g}", reason=told(refusal)))
            return
        asked = min(refusal.after, LONGEST_WISH) if refusal.after is not None else None
        self._put_off(s, worker, self.pace.after(s.attempts, asked, self.chance()), told(refusal))

    def _put_off(self, s: Standing, worker: str, seconds: float, error: str | None) -> None:
        now = self.clock.now()
        subscriptions.put_off(self.database, s.id, worker, micro(now + timedelta(seconds=seconds)), error, micro(now))

    def _leave(self, s: Standing, worker: str, status: Status, reason: str) -> None:
        """Another state. When a client wrote meanwhile, its word counts first."""
        if self._change(s.id, s.version, status, reason):
            self.log.info("subscription changed", subscription=s.id, state=status)
        else:
            self._put_off(s, worker, IDLE, None)

    def _change(self, id_: str, version: int | None, status: Status, reason: str) -> bool:
        future = self.submit(Work(command=Change(id_, version, status, reason, self.config.base, self._rids)))
        return not isinstance(future.result().value, Denied)

    def restart(self, id_: str) -> bool:
        """Asks for a Subscription anew, as a client would; False when there is none."""
        return self._change(id_, None, "requested", "")

    # -- life --------------------------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Once, before the first step: on SQLite no other process can hold a lease, so what a crash left leased is free at once."""
        if self.database.dialect == "sqlite":
            subscriptions.abandon(self.database)

    def run(self, stop: threading.Event, work: Callable[[], bool], idle: float = IDLE) -> None:
        """One thread: works until stopped; looks again after `idle` seconds, or at once when woken or when there is more."""
        try:
            while not stop.is_set():
                try:
                    more = work()
                except TransientError:  # the gateway is closing
                    more = False
                except Exception as e:  # a bug or a database that is away must not end notifications for good
                    self.log.error("notify round failed", exc_info=e)
                    more = False
                if not more:
                    self._wake.wait(idle)
                    self._wake.clear()
        finally:
            self.hook.close()

    def threads(self, stop: threading.Event) -> list[threading.Thread]:
        """One that tends, and as many that tell as are configured; not started yet."""
        made = [threading.Thread(target=self.run, args=(stop, self.tend), name="notify-tend")]
        for n in range(self.settings.parallel):
            worker = f"{self._token}-{n}"
            made.append(threading.Thread(target=self.run, args=(stop, lambda worker=worker: self.step(worker)), name=f"notify-{n}"))
        return made

    def wake(self) -> None:
        """There is something new, or it is time to stop."""
        self._wake.set()
