"""Whose turn it is at the writer.

A sender that needs only durability (HL7 v2) waits for one small row; mapped work is some twenty resources, and behind a long group the
acknowledgement would take as long as the mapping that it was to be spared. So messages to be stored ahead of their records have
a transaction of their own, taken first, and while they come, groups of other work are small. When they come faster than they can be
mapped, so that a backlog grows in any case, work whose sender is answered already stands back, as long as nobody waits for anything behind
it and for at most PATIENCE, after which it has half of the time. Other work is never starved: it has every second turn. Mapped work keeps
the order in which it came. Commands that may join a group go with the next one, in their own order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from gateway.store.work import Work

__all__ = ["LOOK", "PATIENCE", "QUIET", "Turns"]

QUIET = 0.05
"""Seconds after the last store was answered until answered work goes on."""
PATIENCE = 5.0
"""Seconds that answered work stands back before it has half of the time."""
LOOK = 0.005
"""Seconds between looks whether it still has to."""
RECENT = 8
"""Stores by whose times it is told how fast they come while the writer is free for them."""
COST = 0.01
"""Seconds that the records of a message take to be written, until it was measured."""
LATELY = 0.5
"""Seconds after the last store during which groups stay small."""
SMALL = 200
"""Resources of a group while stores come: about 50 ms that the next store may have to wait."""
STORES = 256
"""Stores that share a transaction."""


class Turns:
    """What waits for the writer. limit: pieces of work that may wait before `put` blocks. group: pieces that share a transaction.
    now: monotonic seconds."""

    def __init__(self, limit: int, group: int, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._group = group
        self._now = now
        lock = threading.Lock()
        self._changed, self._room = threading.Condition(lock), threading.Condition(lock)
        self._stores: deque[Work] = deque()
        self._joining: deque[Work] = deque()
        self._works: deque[Work] = deque()
        self._stored: deque[float] = deque([-PATIENCE] * RECENT, RECENT)  # when the last stores came, by `_free`
        self._last = self._answered = -PATIENCE  # when the last store came, and was answered: until then its sender could send no more
        self._began: float | None = None  # when the present group was taken
        self._spent = 0.0  # seconds in groups
        self._share = -PATIENCE  # until when stores have had as long as the last group of other work
        self._cost = COST
        self._stores_last = False
        self._closing = False

    def put(self, work: Work) -> None:
        """Adds mapped work or a command; blocks while too much waits."""
        queue = self._joining if work.joins else self._works
        with self._changed:
            while len(queue) >= self._limit:
                self._room.wait()
            queue.append(work)
            self._changed.notify()

    def store(self, work: Work) -> None:
        """Adds a message that is to be stored ahead of its records; how many may wait is bounded where they are accepted."""
        with self._changed:
            self._stores.append(work)
            self._last = self._now()
            self._stored.append(self._free(self._last))
            self._changed.notify()

    def back(self, works: Iterable[Work]) -> None:
        """Puts back, in front, what was taken and could not be done now."""
        with self._changed:
            self._works.extendleft(reversed(list(works)))

    def open(self) -> None:
        """From now on work is taken."""
        self._closing = False

    def close(self) -> None:
        """What waits is still given; then `take` says that it is the end."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    @property
    def closing(self) -> bool:
        """Whether nothing new comes."""
        return self._closing

    def __len__(self) -> int:
        return len(self._works) + len(self._joining) + len(self._stores)

    def done(self, group: Sequence[Work]) -> None:
        """What was taken is written."""
        with self._changed:
            now = self._now()
            seconds, self._began = now - (now if self._began is None else self._began), None
            self._spent += seconds
            if group[0].store:
                self._answered = now
                return
            self._share = now + seconds
            if messages := sum(w.message is not None for w in group):
                self._cost += (seconds / messages - self._cost) / 8

    def _free(self, now: float) -> float:
        """A clock that stands still while the writer writes: a sender that waits for it cannot send more."""
        return (now if self._began is None else self._began) - self._spent

    def pressed(self, since: float) -> bool:
        """Whether work whose sender was answered should stand back; since: when it was accepted (monotonic)."""
        now = self._now()
        if self._closing or (now - self._answered >= QUIET and not self._stores):
            return False
        fast = self._stored[-1] - self._stored[0] < self._cost * (RECENT - 1)
        return fast and (now - since < PATIENCE or now < self._share)

    def take(self, seconds: float) -> list[Work] | None:
        """What to write next, either stores alone or other work; [] when nothing came for so many seconds, None at the end."""
        with self._changed:
            while True:
                due = bool(self._works) and not self._stands_back()
                if self._stores and not (self._stores_last and (due or self._joining)):
                    self._stores_last, self._began = True, self._now()
                    return _some(self._stores, STORES)
                if due or self._joining:
                    self._stores_last, self._began = False, self._now()
                    group = _some(self._joining, self._group) + (self._next() if due else [])
                    self._room.notify_all()  # two queues have one room
                    return group
                if self._works:
                    self._changed.wait(LOOK)
                elif self._closing:
                    return None
                elif not self._changed.wait(seconds):
                    return []

    def _stands_back(self) -> bool:
        first = self._works[0].ahead
        return first is not None and self.pressed(first.since) and all(w.ahead is not None for w in self._works)

    def _next(self) -> list[Work]:
        lately = self._now() - self._last < LATELY
        group: list[Work] = []
        resources = 0
        while self._works and len(group) < self._group:
            resources += sum(len(i.result.drafts) for i in self._works[0].items)
            if group and lately and resources > SMALL:
                break
            group.append(self._works.popleft())
        return group


def _some(queue: deque[Work], most: int) -> list[Work]:
    return [queue.popleft() for _ in range(min(most, len(queue)))]
