"""One source's lane: its messages are mapped one after the other, in the order in which they were accepted.

A sender that needs only durability is answered early when others of its source are in work: its message is stored ahead (one row, in a
commit shared with others), the receipt says `accepted`, and its records follow in its place in the order. How much may be accepted and
not yet mapped is bounded; beyond that an acknowledgement waits for the outcome, which the sender feels as back-pressure. Answered
messages leave the processor to messages that come now (gateway/store/turns.py), unless somebody in the lane waits for an outcome.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Protocol, TypeVar

from gateway.errors import TransientError
from gateway.record import Incoming, Receipt
from gateway.store import messages
from gateway.store.database import Database
from gateway.store.messages import StoredMessage
from gateway.store.turns import LOOK
from gateway.store.work import Answer, NewMessage
from gateway.store.writer import CLOSING

__all__ = ["Arrival", "Lane", "Limits", "resumed"]

LOADED = 1.0
"""Seconds for which a lane counts as loaded after a message that came while another was in work. A sender that sends one message after
the other, each when the last is answered, never loads it."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Arrival:
    """One message on its way. began: when it came (monotonic seconds). ahead: the message as it is stored before it is mapped, None when
    it is stored with its records. resumed: it was stored by an earlier run of the gateway, and its sender is gone."""

    incoming: Incoming
    told: Future[Receipt]
    began: float
    ahead: NewMessage | None = None
    resumed: bool = False

    @property
    def early(self) -> bool:
        """Whether its sender is answered ahead of its records."""
        return self.ahead is not None and self.ahead.early

    @property
    def answered(self) -> bool:
        """Whether its sender knows already that it is durable."""
        return self.ahead is not None and bool(self.ahead.stored)


def resumed(database: Database, m: StoredMessage) -> Arrival:
    """A message of one piece that was left `processing`; its content is read when its turn comes."""
    incoming = Incoming(lambda: BytesIO(b"".join(messages.content(database, m.id))), m.media_type, m.name, m.peer, m.charset)
    now = time.monotonic()
    ahead = NewMessage(m.source, m.name, m.peer, m.media_type, m.charset, m.digest, m.size, (), stored=m.id, early=True, since=now)
    return Arrival(incoming, Future(), now, ahead, resumed=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one source may be accepted and not yet mapped. chunk: bytes of a stored piece."""

    messages: int
    size: int
    chunk: int


class Writes(Protocol):
    """The part of the Writer that a lane needs."""

    def store(self, message: NewMessage) -> Future[Answer]:
        """Stores a message ahead of its records."""
        ...

    def pressed(self, since: float) -> bool:
        """Whether answered work should stand back."""
        ...


class Lane:
    """Takes messages from any thread; `take` is called in the lane's own thread and must see to it that `finished` is told in the end."""

    def __init__(self, source: str, take: Callable[[Lane, Arrival], None], writer: Writes, limits: Limits) -> None:
        self._source = source
        self._take = take
        self._writer = writer
        self._limits = limits
        self._changed = threading.Condition()
        self._jobs: deque[Arrival | Callable[[], None]] = deque()
        self._work = 0  # messages entered and not finished
        self._met = -LOADED  # when a message last came while another was in work
        self._ahead = 0  # of these, accepted ahead of their records
        self._bytes = 0
        self._callers: set[Arrival] = set()  # whose senders wait for an outcome
        self._until: float | None = None  # closing: when answered messages are left for the next start
        self._left = False
        self._thread = threading.Thread(target=self._run, name=f"yifang-{source}", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Messages accepted and not yet mapped."""
        return self._ahead

    def enter(self, arrival: Arrival) -> None:
        """Puts a message in its place. Raises TransientError when the lane closes."""
        stored: Future[Answer] | None = None
        with self._changed:
            self._open()
            arrival.ahead = self._admitted(arrival)
            if arrival.ahead is not None:
                stored = self._writer.store(arrival.ahead)
            else:
                self._callers.add(arrival)
            self._count(arrival, 1)
            self._jobs.append(arrival)
            self._changed.notify()
        if stored is not None:
            stored.add_done_callback(partial(self._stored, arrival))

    def again(self, arrival: Arrival) -> None:
        """Puts a message in its place that is stored already. Raises TransientError when the lane closes."""
        with self._changed:
            self._open()
            self._count(arrival, 1)
            self._jobs.append(arrival)
            self._changed.notify()

    def run(self, job: Callable[[], T]) -> Future[T]:
        """Runs something in its place among the messages. Raises TransientError when the lane closes."""
        done: Future[T] = Future()

        def call() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                if self._left:
                    raise TransientError(CLOSING)
                done.set_result(job())
            except Exception as e:
                done.set_exception(e)

        with self._changed:
            self._open()
            self._jobs.append(call)
            self._changed.notify()
        return done

    def finished(self, arrival: Arrival) -> None:
        """A message was written with its records, or could not be."""
        with self._changed:
            self._callers.discard(arrival)
            self._count(arrival, -1)

    def close(self, seconds: float) -> None:
        """Takes nothing more. What somebody waits for is finished; of what was answered, as much as can be within this time: the rest stays
        stored as `processing` for the next start."""
        with self._changed:
            self._until = time.monotonic() + seconds
            self._changed.notify()

    def join(self) -> None:
        """Waits until the lane, once closed, has come to its end."""
        self._thread.join()

    def _open(self) -> None:
        if self._until is not None:
            raise TransientError(CLOSING)

    def _count(self, arrival: Arrival, n: int) -> None:
        self._work += n
        if arrival.ahead is not None:
            self._ahead += n
            self._bytes += n * arrival.ahead.size

    def _admitted(self, arrival: Arrival) -> NewMessage | None:
        """The message to store ahead, when its sender needs no more, the lane is loaded, and there is room."""
        i = arrival.incoming
        if self._work:
            self._met = arrival.began
        if i.waits_for != "stored" or i.refused is not None or arrival.began - self._met >= LOADED or not isinstance(i.content, bytes):
            return None
        size = len(i.content)
        if self._ahead >= self._limits.messages or self._bytes + size > self._limits.size:
            return None
        digest, step = hashlib.sha256(i.content).hexdigest(), self._limits.chunk
        chunks = [i.content[at : at + step] for at in range(0, size, step)]
        return NewMessage(self._source, i.name, i.peer, i.media_type, i.charset, digest, size, chunks, since=arrival.began)

    def _stored(self, arrival: Arrival, _written: Future[Answer]) -> None:
        """In the writer's thread. What could not be stored ahead, or is a repeat, is answered when it was mapped."""
        if arrival.ahead is not None and arrival.ahead.stored:
            arrival.told.set_result(Receipt(arrival.ahead.stored, "accepted"))
            return
        with self._changed:
            left = self._left
            self._callers.add(arrival)
        arrival.told.add_done_callback(lambda _: self._told(arrival))  # it is done if its records were written before its turn came
        if left and not arrival.told.done():
            arrival.told.set_exception(TransientError(CLOSING))

    def _told(self, arrival: Arrival) -> None:
        with self._changed:
            self._callers.discard(arrival)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if isinstance(job, Arrival):
                self._take(self, job)
            else:
                job()

    def _next(self) -> Arrival | Callable[[], None] | None:
        with self._changed:
            while not self._jobs:
                if self._until is not None:
                    return None
                self._changed.wait()
            head = self._jobs[0]
        if isinstance(head, Arrival):
            while self._until is None and not self._callers and head.early and self._writer.pressed(head.began):
                time.sleep(LOOK)  # not on the condition: each message that comes would wake this thread
            if head.answered and self._until is not None and time.monotonic() > self._until:
                self._leave()
                return None
        return self._jobs.popleft()

    def _leave(self) -> None:
        """Closing: what is answered stays for the next start, and so that the order holds, all that came after it is sent again."""
        with self._changed:
            self._left = True
            rest, self._jobs = self._jobs, deque()
            waiting = [a for a in rest if isinstance(a, Arrival) and (a.ahead is None or a.resumed or a in self._callers)]
        for arrival in waiting:
            arrival.told.set_exception(TransientError(CLOSING))
        for job in rest:
            if not isinstance(job, Arrival):
                job()
