"""Compares what the gateway holds with what a destination has; "lost" is counted on it (design/records.md, "Delivery")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import and_, or_, select

from gateway.fhir.json import decode
from gateway.outbox.references import Rewriter, references, upstream_id
from gateway.outbox.same import comparable
from gateway.store import deliveries
from gateway.store.database import Database
from gateway.store.names import Name
from gateway.store.settlement import reading
from gateway.store.tables import delivered, delivery_fault, delivery_wait, resource
from gateway.store.unit import STAYS
from gateway.store.unsettled import waits
from gateway.upstream import FhirServer

BATCH = 50
UNSEARCHED = frozenset({"Binary", "Bundle"})
"""Types that a server need not be able to search by _id; they are read one by one."""


@dataclass(frozen=True, slots=True)
class Held:
    """A resource here, at its newest version. sent: our version that the destination took, 0 when none. content None: deleted."""

    rid: int
    name: Name
    version: int
    sent: int
    content: bytes | None


@dataclass(slots=True)
class Reconciliation:
    """Counts of one destination. held, equal: living resources; waiting: owed and not sent yet; unsettled: refused there or waiting for
    a target; lost: sent, and not there; different: there with other content (also what someone else wrote, and we did not overwrite),
    or there although it was deleted here."""

    destination: str
    held: int = 0
    equal: int = 0
    waiting: int = 0
    unsettled: int = 0
    lost: list[Name] = field(default_factory=list)
    different: list[Name] = field(default_factory=list)


def reconcile(database: Database, destination: str, server: FhirServer, base: str) -> Reconciliation:
    """Reads everything on both sides. base: the deployment's canonical base. Raises TransientError or TerminalError when the server
    cannot be read."""
    report = Reconciliation(destination)
    unsettled, conflicts = _unsettled(database, destination)
    for batch in _batches(database, destination):
        there = _there(server, [h for h in batch if h.sent])
        with reading(database) as raw:
            awaited = waits(raw, destination, [h.name for h in batch])
        doubtful = []
        for held in batch:
            report.held += held.content is not None
            theirs = there.get(held.name)
            if held.name in conflicts:
                report.different.append(held.name)
            elif held.sent < held.version:
                known = held.name in unsettled
                report.unsettled += known
                report.waiting += not known
            elif theirs == _expected(held, awaited.get(held.name, set()), base):
                report.equal += held.content is not None
            else:
                doubtful.append((held, theirs))
        _judge(database, report, doubtful)
    return report


def _expected(held: Held, absent: set[Name], base: str) -> bytes | None:
    """Comparable content of what went up; None: nothing should be there."""
    content = held.content
    if content is None:
        return None
    digits = any(id_.isdigit() for _, id_ in (held.name, *references(content)))
    return comparable(decode(Rewriter(base).rewritten(content, absent, digits=digits)))


def _judge(database: Database, report: Reconciliation, doubtful: Sequence[tuple[Held, bytes | None]]) -> None:
    """Looks again at what did not agree: what changed or went up meanwhile is on its way, the rest is told."""
    with reading(database) as raw:
        found = deliveries.current(raw, report.destination, [h.name for h, _ in doubtful], content=False)
    now = {c.name: (c.version, c.delivered) for c in found}
    for held, theirs in doubtful:
        if now.get(held.name) != (held.version, held.sent):
            report.waiting += 1
        elif theirs is None:
            report.lost.append(held.name)
        else:
            report.different.append(held.name)


def _unsettled(database: Database, destination: str) -> tuple[set[Name], set[Name]]:
    """(refused or waiting for a target and not sent, written by someone else and not overwritten)."""
    f, w = delivery_fault, delivery_wait
    with database.engine.connect() as c:
        faults = c.execute(select(f.c.type, f.c.id, f.c.kind).where(f.c.destination == destination)).all()
        unsent = c.execute(select(w.c.type, w.c.id).where(w.c.destination == destination, ~w.c.sent)).all()
    conflicts = {(r.type, r.id) for r in faults if r.kind == "conflict"}
    return {(r.type, r.id) for r in (*faults, *unsent)} - conflicts, conflicts


def _batches(database: Database, destination: str) -> Iterator[list[Held]]:
    """Living resources, and deleted ones that were there, in order of rid; some hundreds at a time, so that memory stays bounded."""
    r, d = resource, delivered
    join = r.outerjoin(d, and_(d.c.type == r.c.type, d.c.id == r.c.id, d.c.destination == destination))
    columns = (
        select(r.c.rid, r.c.type, r.c.id, r.c.version, r.c.deleted, r.c.content, d.c.version.label("sent"))
        .select_from(join)
        .where(r.c.type.not_in(STAYS))
    )
    last = -1
    while True:
        with database.engine.connect() as c:
            rows = c.execute(columns.where(r.c.rid > last, or_(~r.c.deleted, d.c.version > 0)).order_by(r.c.rid).limit(BATCH * 10)).all()
        if not rows:
            return
        last = rows[-1].rid
        yield [Held(x.rid, (x.type, x.id), x.version, x.sent or 0, None if x.deleted else bytes(x.content)) for x in rows]


def _there(server: FhirServer, wanted: Sequence[Held]) -> dict[Name, bytes]:
    """Comparable content of those the server has."""
    found: dict[Name, bytes] = {}
    for type_, group in groupby(sorted(h.name for h in wanted), key=lambda n: n[0]):
        ids = {upstream_id(id_): id_ for _, id_ in group}
        if type_ in UNSEARCHED:
            for theirs, ours in ids.items():
                read = server.read(type_, theirs)
                if read is not None:
                    found[type_, ours] = comparable(decode(read[1]))
            continue
        keys = list(ids)
        for i in range(0, len(keys), BATCH):
            part = keys[i : i + BATCH]
            for body in server.search(type_, {"_id": ",".join(part), "_count": str(BATCH)}):
                found[type_, ids[body["id"]]] = comparable(body)
    return found
