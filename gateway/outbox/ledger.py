"""What the store knows of one destination, as a round of deliveries reads it, and how its outcome is kept.

A round only reads. All that it leads to is written in one transaction (`Ledger.settle`), so that after a crash before it everything is
sent again, which is harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from gateway.fhir.json import Resource, decode
from gateway.store import deliveries, resources, settlement, unsettled
from gateway.store.database import Database
from gateway.store.deliveries import Current
from gateway.store.names import Name
from gateway.store.raw import Raw
from gateway.store.scope import Scope
from gateway.store.settlement import Sent, reading
from gateway.store.unsettled import Refusal, Waiting
from gateway.upstream import Paused, Retry


@dataclass(slots=True)
class Result:
    """Outcome of a round. left: still owed; waiting: what waits for a target, whether it went up or not; gone: deleted here, and never
    there. stop: a reply that ended the round (Retry or Paused); what was sent before it stays sent. accepted: transactions that went
    through. fault: the passing fault of a resource that was tried alone."""

    sent: dict[Name, Sent] = field(default_factory=dict)
    refused: dict[Name, Refusal] = field(default_factory=dict)
    waiting: dict[Name, Waiting] = field(default_factory=dict)
    left: set[Name] = field(default_factory=set)
    gone: set[Name] = field(default_factory=set)
    stop: Retry | Paused | None = None
    accepted: int = 0
    fault: Retry | None = None


class Ledger:
    """Reads and settles one round. It remembers what the destination had of each resource when the round first saw it."""

    def __init__(self, database: Database, destination: str) -> None:
        self.database = database
        self.destination = destination
        self._seen: dict[Name, Current] = {}
        self._faults: dict[Name, int] = {}
        self._asked: set[Name] = set()

    def current(self, names: Collection[Name], *, content: bool = True) -> dict[Name, Current]:
        """What the gateway holds of these names, deleted ones too."""
        if not names:
            return {}
        with reading(self.database) as raw:
            found = {c.name: c for c in deliveries.current(raw, self.destination, names, content=content)}
        for name, c in found.items():
            self._seen.setdefault(name, c)
        return found

    def faults(self, names: Iterable[Name]) -> dict[Name, int]:
        """Name -> our version that the server refused; of what this worker's lanes deliver it changes by this round only."""
        fresh = set(names) - self._asked
        if fresh:
            self._asked |= fresh
            with reading(self.database) as raw:
                self._faults |= unsettled.faults(raw, self.destination, fresh)
        return self._faults

    def waits(self, names: Collection[Name]) -> dict[Name, set[Name]]:
        """Item -> targets it waits for."""
        with reading(self.database) as raw:
            return unsettled.waits(raw, self.destination, names)

    def versions(self, name: Name) -> Iterable[Resource]:
        """Bodies of all our versions, newest first."""
        with self.database.engine.connect() as connection:
            stored = resources.history(connection, *name, Scope.all())
        return [decode(v.content) for v in stored if not v.deleted]

    def settle(self, raw: Raw, wanted: Collection[Name], result: Result, now: int) -> set[Name]:
        """Keeps what was sent, refused and waits; which resources must be sent again: an older version stands there, or a target that
        they went without has come. now: µs since the epoch."""
        name = self.destination
        overtaken = settlement.keep(raw, name, result.sent.values())
        unsettled.clear_faults(raw, name, result.sent.keys() | result.gone)
        unsettled.refuse(raw, name, result.refused, now)
        unsettled.settled(raw, name, result.sent.keys() | result.waiting.keys())
        unsettled.wait(raw, name, result.waiting)
        return {*overtaken, *self._woken(raw, set(wanted) | result.sent.keys(), result)}

    def seen(self, name: Name) -> tuple[int, str]:
        """(version, ETag) that the destination had when the round first saw the resource; (0, "") for nothing."""
        before = self._seen.get(name)
        return (before.delivered, before.etag) if before is not None else (0, "")

    def _woken(self, raw: Raw, tried: set[Name], result: Result) -> set[Name]:
        """Settlements of a destination come one after another (the lock of `keep`): of a target that came while a resource went up without
        it, either this one sees the target, or that of the target sees the resource wait."""
        behind = unsettled.waiting_for(raw, self.destination, tried)
        missed = {t for w in result.waiting.values() for t in w.targets}
        now = {c.name: c for c in deliveries.current(raw, self.destination, missed | behind.keys(), content=False)}
        woken = {item for t, items in behind.items() if (c := now.get(t)) is not None and (c.there or c.deleted) for item in items}
        came = {t for t, c in now.items() if t in missed and not c.deleted}
        brought = {t for t in came if now[t].there and now[t].delivered != self.seen(t)[0]}
        return woken | {item for item, w in result.waiting.items() if w.targets & (came if w.sent else brought)}
