"""Asks of one request, as a command of the writer: all of them are written, or none is.

What an ask needs to hold (versions, criteria, references) is looked at before the first of them writes, so that a request that is denied leaves
the group it shares with others untouched. https://hl7.org/fhir/R4/http.html#transaction, "transaction processing rules".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.store.api import followed, patients, spoken
from gateway.store.api.asks import Ask, Denied, Origin, Wrote
from gateway.store.api.mentions import CLIENT, Rids, named, patient_named
from gateway.store.api.once import Once
from gateway.store.apply import Applier
from gateway.store.states import ResourceState
from gateway.store.unit import Unit

__all__ = ["Replayed", "Writes"]

ORDER = {"delete": 0, "create": 1, "update": 2}
"""Order of processing (R4: DELETE, POST, PUT or PATCH); of what is written, Patients first, so that they stand when others refer to them."""
KINDS = {"delete": "api-delete", "create": "api-create", "update": "api-update"}
Result = list[Wrote] | Denied


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the same request wrote when it came first; without contents."""

    wrote: list[Wrote]


@dataclass(slots=True)
class Writes:
    """The asks of one request. base: of the identifier systems that this deployment issues. rids: what is known of row numbers, shared by
    all requests of a process. resolve: turns criteria into ids, and references to placeholders into references, before anything is
    looked at; it may deny. once: the request's Idempotency-Key. closed: every relative reference must resolve."""

    asks: list[Ask]
    origin: Origin
    base: str
    rids: Rids
    resolve: Callable[[Unit, list[Ask]], Denied | None] | None = None
    once: Once | None = None
    closed: bool = False

    def __call__(self, unit: Unit, applier: Applier) -> Result | Replayed:
        """Runs inside the writer's transaction."""
        if self.once is not None:
            before = self.once.before(unit)
            if before is not None:
                return before if isinstance(before, Denied) else Replayed(before)
        result = self._run(unit, applier)
        if self.once is not None and not isinstance(result, Denied):
            self.once.after(unit, result)
        return result

    def _run(self, unit: Unit, applier: Applier) -> Result:
        asks = self.asks
        if self.resolve is not None:
            asks = [replace(a) for a in asks]  # after a lost race everything is decided anew
            denied = self.resolve(unit, asks)
            if denied is not None:
                return denied
        unit.load_resources(names={(a.type, a.id) for a in asks if a.id and not a.minted and a.settled is None})
        for ask in asks:
            denied = self._deny(unit, applier, ask)
            if denied is not None:
                return denied
        if self.closed:
            dangling = _dangling(unit, asks)
            if dangling is not None:
                return dangling
        return self._write(unit, applier, asks)

    def _deny(self, unit: Unit, applier: Applier, ask: Ask) -> Denied | None:
        """Why this ask cannot be written; None when it can."""
        if ask.settled is not None:
            return None
        state = unit.by_name.get((ask.type, ask.id))
        version = state.version if state is not None else 0
        gone = state is None or not version or state.deleted
        if ask.expect is not None and (gone or version != ask.expect):
            return Denied("version" if version else "unknown", ask.type, ask.id, version, ask.place)
        if ask.absent and not gone:
            return Denied("exists", ask.type, ask.id, version, ask.place)
        if state is None or state.type != "Patient" or not version:
            return None
        if ask.kind == "delete" and not state.deleted and patients.spoken_for(applier.residents, state):
            return Denied("spoken-for", ask.type, ask.id, version, ask.place)
        if patients.is_replaced(applier.residents, state):
            return Denied("replaced", ask.type, ask.id, version, ask.place)
        return None

    def _write(self, unit: Unit, applier: Applier, asks: Sequence[Ask]) -> list[Wrote]:
        seq = unit.raw.sequence()
        changed: list[ResourceState] = []
        wrote: dict[int, Wrote] = {}
        for ask in sorted(asks, key=_turn):
            if ask.settled is not None:
                wrote[id(ask)] = ask.settled
                continue
            before = len(unit.changes)
            state = unit.resource(ask.type, ask.id)
            was = state.version and not state.deleted
            self._one(unit, applier, ask, state, seq)
            touched = [c for c in unit.changes[before:] if (c.type, c.id) != (ask.type, ask.id)]
            changed += [unit.by_name[(c.type, c.id)] for c in touched]
            new = len(unit.changes) - before - len(touched)
            if new:
                changed.append(state)
            if ask.kind == "delete":
                how = "deleted" if new else "absent"
            else:
                how = ("updated" if was else "created") if new else "unchanged"
            wrote[id(ask)] = Wrote(ask.type, ask.id, state.version, state.time, how, b"" if ask.kind == "delete" else state.content)
        if changed:
            self._tell(unit, seq, changed)
        return [wrote[id(a)] for a in asks]

    def _one(self, unit: Unit, applier: Applier, ask: Ask, state: ResourceState, seq: int) -> None:
        if ask.kind == "delete" and (not state.version or state.deleted):
            return
        if ask.type == "Patient":
            self._patient(applier, ask, state, seq)
        elif state.contributions:
            self._word(applier, ask, state, seq)
        else:
            self._alone(applier, ask.body, state, seq)

    def _alone(self, applier: Applier, body: dict[str, Any] | None, state: ResourceState, seq: int) -> None:
        """A resource that no record writes."""
        unit = applier.unit
        resident = state.resident
        follows: followed.Pairs = ()
        before = followed.former(unit, applier.residents, self.rids, state)
        if body is not None:
            body, follows = followed.settled(unit, applier.residents, self.rids, body, before)
            resident = self._resident(unit, body)
        unit.write(state, body, seq=seq, record=None, resident=resident, custodian=self.origin.custodian)
        followed.forget(unit, state, CLIENT, before.items() - set(follows))
        for path, source in follows:
            unit.link(source, state.rid, CLIENT, path)

    def _word(self, applier: Applier, ask: Ask, state: ResourceState, seq: int) -> None:
        """A client's word of a resource that records write too."""
        unit, body = applier.unit, ask.body
        follows: followed.Pairs = ()
        kind = spoken.WHOLE if body is None else spoken.kind_of(unit, state)
        if body is not None:
            before = dict(pair for c in state.contributions.values() for pair in c.patients)
            applier.residents.load((), before.values())
            body, follows = followed.settled(unit, applier.residents, self.rids, body, before)
        record = spoken.contribute(unit, applier.composer, state, body, custodian=self.origin.custodian, kind=kind, follows=follows)
        applier.composer.write(state.rid, seq=seq, record=record.id, custodian=self.origin.custodian)

    def _patient(self, applier: Applier, ask: Ask, state: ResourceState, seq: int) -> None:
        unit, residents = applier.unit, applier.residents
        if ask.body is None:
            patients.retire(residents, state)
            unit.write(state, None, seq=seq, record=None, resident=state.rid, custodian=self.origin.custodian)
            return
        person = patients.register(residents, state, ask.body, self.base)
        record = spoken.contribute(unit, applier.composer, state, ask.body, custodian=self.origin.custodian, kind="merge", person=person)
        applier.composer.write_all([state.rid], seq=seq, record=record.id, custodian=self.origin.custodian)

    def _resident(self, unit: Unit, body: dict[str, Any]) -> int | None:
        """Row number of the Patient that a body is about, when it stands here."""
        named = patient_named(body)
        return self.rids.of(unit, [named]).get(named) if named is not None else None

    def _tell(self, unit: Unit, seq: int, changed: Iterable[ResourceState]) -> None:
        """Keeps the body as a message, and puts the event on the timeline and what was written into the outbox."""
        o, message = self.origin, None
        if o.content:
            message = unit.raw.number()
            size, count = len(o.content), len(self.asks)
            unit.messages.append((message, o.source, o.name, o.peer, o.media_type, "utf-8", o.digest, size, unit.now, "mapped", count, True, 0, None))
            parts = [o.content[i : i + o.chunk] for i in range(0, len(o.content), o.chunk)]
            unit.chunks += [(message, n, part) for n, part in enumerate(parts)]
        kind = KINDS[self.asks[0].kind] if len(self.asks) == 1 else "api-transaction"
        unit.event(kind, seq=seq, source=o.source, message=message, actor=o.client, wrote=_once(changed))


def _turn(ask: Ask) -> tuple[bool, bool, int]:
    return ask.kind != "delete", ask.type != "Patient", ORDER[ask.kind]


def _once(states: Iterable[ResourceState]) -> Sequence[ResourceState]:
    """Each resource once, in the order it was first written."""
    return list({s.rid: s for s in states}.values())


def _dangling(unit: Unit, asks: Sequence[Ask]) -> Denied | None:
    """The first relative reference to what neither the store nor this request holds."""
    kept = {(a.type, a.id) for a in asks if a.kind != "delete"}
    wanted = {name: ask for ask in asks if ask.body is not None and ask.settled is None for name in named(ask.body)}
    missing = [n for n in wanted if n not in kept and ((state := unit.by_name.get(n)) is None or not state.version or state.deleted)]
    rows = unit.raw.among("SELECT type, id FROM resource WHERE NOT deleted AND id {}", {id_ for _, id_ in missing})
    held = {(type_, id_) for type_, id_ in rows}
    for name in missing:
        if name not in held:
            return Denied("dangling", *name, place=wanted[name].place)
    return None
