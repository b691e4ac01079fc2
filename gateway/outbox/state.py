"""What the sender remembers of a destination beside the deliveries: refused versions, and resources that wait for a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, tuple_

from gateway.outbox.bundle import Name
from gateway.store.database import Database
from gateway.store.tables import delivery_fault, delivery_wait

CHUNK = 300


def _chunks(names: Iterable[Name]) -> Iterable[list[Name]]:
    ordered = sorted(names)
    return (ordered[i : i + CHUNK] for i in range(0, len(ordered), CHUNK))


class State:
    """Faults and waits of one destination."""

    def __init__(self, database: Database, destination: str) -> None:
        self.database = database
        self.destination = destination

    def faults(self, names: Iterable[Name]) -> dict[Name, int]:
        """Name -> our version that the server refused, for those of the names that have one."""
        t = delivery_fault
        if not self.any_faults():
            return {}
        with self.database.engine.connect() as c:
            return {
                (r.type, r.id): r.version
                for chunk in _chunks(names)
                for r in c.execute(
                    select(t.c.type, t.c.id, t.c.version).where(t.c.destination == self.destination, tuple_(t.c.type, t.c.id).in_(chunk))
                )
            }

    def record_fault(self, name: Name, version: int, kind: str, error: str, now: datetime) -> None:
        """Keeps a refused version with the server's words; replaces an older fault of the resource."""
        t = delivery_fault
        with self.database.engine.begin() as c:
            c.execute(delete(t).where(t.c.destination == self.destination, t.c.type == name[0], t.c.id == name[1]))
            values = {"destination": self.destination, "type": name[0], "id": name[1], "version": version, "kind": kind, "error": error}
            c.execute(insert(t).values(**values, time=int(now.timestamp() * 1_000_000)))

    def clear_faults(self, names: Iterable[Name]) -> None:
        """Forgets the faults of these resources."""
        t = delivery_fault
        with self.database.engine.begin() as c:
            for chunk in _chunks(names):
                c.execute(delete(t).where(t.c.destination == self.destination, tuple_(t.c.type, t.c.id).in_(chunk)))

    def clear_refused(self) -> list[Name]:
        """Forgets everything that the server refused, and says what it was. What someone else wrote there stays a conflict."""
        t = delivery_fault
        which = (t.c.destination == self.destination, t.c.kind == "refused")
        with self.database.engine.begin() as c:
            found = [(r.type, r.id) for r in c.execute(select(t.c.type, t.c.id).where(*which))]
            c.execute(delete(t).where(*which))
        return found

    def wait(self, awaited: Mapping[Name, Iterable[Name]], *, sent: bool) -> None:
        """Item -> targets it waits for. sent: it went up already, with identifiers in place of those references."""
        t = delivery_wait
        rows = [
            {"destination": self.destination, "target_type": tt, "target_id": ti, "type": name[0], "id": name[1], "sent": sent}
            for name, targets in awaited.items()
            for tt, ti in targets
        ]
        with self.database.engine.begin() as c:
            self._forget(c, awaited)
            if rows:
                c.execute(insert(t), rows)

    def _forget(self, c: Connection, items: Iterable[Name]) -> None:
        t = delivery_wait
        for chunk in _chunks(items):
            c.execute(delete(t).where(t.c.destination == self.destination, tuple_(t.c.type, t.c.id).in_(chunk)))

    def settled(self, items: Iterable[Name]) -> None:
        """These went up whole: they wait for nothing any more."""
        with self.database.engine.begin() as c:
            self._forget(c, items)

    def waiting_for(self, targets: Iterable[Name]) -> set[Name]:
        """Items that wait for one of these targets."""
        t = delivery_wait
        with self.database.engine.connect() as c:
            return {
                (r.type, r.id)
                for chunk in _chunks(targets)
                for r in c.execute(
                    select(t.c.type, t.c.id).where(t.c.destination == self.destination, tuple_(t.c.target_type, t.c.target_id).in_(chunk))
                )
            }

    def waits(self, items: Iterable[Name]) -> dict[Name, set[Name]]:
        """Item -> targets it waits for, for those of the items that wait."""
        t = delivery_wait
        found: dict[Name, set[Name]] = {}
        with self.database.engine.connect() as c:
            for chunk in _chunks(items):
                which = (t.c.destination == self.destination, tuple_(t.c.type, t.c.id).in_(chunk))
                for r in c.execute(select(t.c.type, t.c.id, t.c.target_type, t.c.target_id).where(*which)):
                    found.setdefault((r.type, r.id), set()).add((r.target_type, r.target_id))
        return found

    def any_waits(self) -> bool:
        """Whether anything waits at all; lets the usual round skip the look-up."""
        t = delivery_wait
        with self.database.engine.connect() as c:
            return c.execute(select(t.c.type).where(t.c.destination == self.destination).limit(1)).first() is not None

    def any_faults(self) -> bool:
        """Whether anything is refused at all."""
        t = delivery_fault
        with self.database.engine.connect() as c:
            return c.execute(select(t.c.type).where(t.c.destination == self.destination).limit(1)).first() is not None
