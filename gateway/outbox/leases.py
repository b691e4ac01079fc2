"""The lanes one worker has of a destination: those it was handed, and those it took because its resources refer into them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.store import deliveries
from gateway.store.database import Database
from gateway.store.deliveries import Lane


class Leases:
    """Leases of one round. length: of each lease; it is renewed when a third of it has passed."""

    def __init__(self, database: Database, destination: str, worker: str, now: Callable[[], datetime], length: timedelta) -> None:
        self.database = database
        self.destination = destination
        self.worker = worker
        self.now = now
        self.length = length
        self.handed: set[str] = set()
        self.taken: set[str] = set()
        self._renewed = now()

    def claim(self, lanes: int) -> list[Lane]:
        """Lanes that are due, at most so many."""
        self._renewed = self.now()
        found = deliveries.claim(self.database, self.destination, self.worker, self._renewed, self.length, lanes)
        self.handed = {lane.name for lane in found}
        return found

    def take(self, lanes: set[str]) -> set[str]:
        """Those of these lanes that are this worker's now."""
        wanted = lanes - self.handed - self.taken
        if wanted:
            self.taken |= deliveries.acquire(self.database, self.destination, wanted, self.worker, self.now(), self.length)
        return lanes & (self.handed | self.taken)

    def keep(self) -> bool:
        """Renews all of them in good time; False when one was lost: another worker goes on with that lane."""
        now = self.now()
        if now - self._renewed < self.length / 3:
            return True
        self._renewed = now
        return deliveries.renew(self.database, self.destination, self.handed | self.taken, self.worker, now + self.length)

    def given_back(self, lane: str) -> None:
        """A handed lane was finished or put off."""
        self.handed.discard(lane)

    def close(self) -> None:
        """Gives back what was taken."""
        if self.taken:
            deliveries.give_back(self.database, self.destination, self.taken, self.worker)
            self.taken.clear()
