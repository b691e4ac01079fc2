"""The outbox: what is owed to each destination, lane by lane. Leases are on lanes; the newest version of a resource is enough.

A lane is one resident's (its Patient's row number) or "shared" (Organization, Practitioner ...). An undelivered row for a resource is
not doubled by a newer one: the sender reads `current`, and what a destination has at its newest version needs no sending.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, select, text, update

from gateway.store import tables as t
from gateway.store.database import Database
from gateway.store.messages import moment
from gateway.store.raw import Raw
from gateway.store.settlement import Sent, close, keep, lane_of, writing

__all__ = [
    "Current", "Delivery", "Lane", "Queue", "Sent",
    "abandon", "acquire", "block", "claim", "current", "finish", "give_back", "pause", "queue", "renew", "renew_all", "resume", "retry",
]  # fmt: skip

ROWS = 64
"""Deliveries of one lane that are handed out at a time."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record's set within one lane."""

    id: int
    seq: int
    record: int | None
    attempts: int
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """A leased lane with what it owes, oldest first."""

    destination: str
    name: str
    worker: str
    attempts: int
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Current:
    """A resource as it stands here, and what the destination has of it (None: nothing)."""

    type: str
    id: str
    version: int
    deleted: bool
    content: bytes
    delivered: int | None
    etag: str | None
    resident: int | None

    @property
    def lane(self) -> str:
        """The lane it is delivered from, when no record's set names it."""
        return lane_of(self.type, self.resident)


@dataclass(frozen=True, slots=True)
class Queue:
    """One destination's outbox: rows owed, the oldest one's time, blocked lanes, pause."""

    destination: str
    waiting: int
    oldest: datetime | None
    blocked: int
    paused: str | None


def micro(moment: datetime) -> int:
    """A datetime as µs since the epoch."""
    return int(moment.timestamp() * 1_000_000)


_CLAIM = """
UPDATE delivery_lane SET state = 'leased', worker = ?, lease = ?
WHERE destination = ? AND lane IN (
  SELECT lane FROM delivery_lane
  WHERE destination = ? AND ((state = 'waiting' AND due <= ?) OR (state = 'leased' AND lease < ?))
  ORDER BY CASE WHEN lane = 'shared' THEN 0 ELSE 1 END, due LIMIT ? {skip})
  AND NOT EXISTS (SELECT 1 FROM destination_state WHERE destination = ? AND paused)
RETURNING lane, attempts
"""
_OWED = "SELECT id, seq, record, attempts, items FROM delivery WHERE destination = ? AND lane = ? AND state <> 'done' ORDER BY id LIMIT ?"


def claim(database: Database, destination: str, worker: str, now: datetime, lease: timedelta, lanes: int) -> list[Lane]:
    """Leases lanes that are due (or whose lease ran out); none while the destination is paused. A lane with nothing owed becomes idle."""
    skip = "FOR UPDATE SKIP LOCKED" if database.dialect == "postgresql" else ""
    values = (worker, micro(now + lease), destination, destination, micro(now), micro(now), lanes, destination)
    claimed, empty = [], []
    with writing(database) as raw:
        for lane, attempts in sorted(raw.rows(_CLAIM.format(skip=skip), values), key=lambda r: (r[0] != "shared", r[0])):
            rows = raw.rows(_OWED, (destination, lane, ROWS))
            if rows:
                deliveries = tuple(Delivery(r[0], r[1], r[2], r[3], tuple((a, b) for a, b in json.loads(r[4]))) for r in rows)
                claimed.append(Lane(destination, lane, worker, attempts, deliveries))
            else:
                empty.append(lane)
        close(raw, destination, worker, [], empty, micro(now))
    return claimed


def _mine(destination: str, lane: str, worker: str) -> ColumnElement[bool]:
    lanes = t.delivery_lane
    return and_(lanes.c.destination == destination, lanes.c.lane == lane, lanes.c.state == "leased", lanes.c.worker == worker)


def current(database: Database, destination: str, items: Iterable[tuple[str, str]]) -> list[Current]:
    """Each (type, id) as it stands here, with the version and ETag that the destination has."""
    wanted = set(items)
    if not wanted:
        return []
    connection = database.engine.raw_connection()
    try:
        raw = Raw(connection.cursor(), database.dialect)
        rows = raw.among(_CURRENT.format(destination.replace("'", "''"), "{}"), [id_ for _, id_ in wanted])
    finally:
        connection.close()
    return [Current(x[0], x[1], x[2], bool(x[3]), bytes(x[4]), x[5], x[6], x[7]) for x in rows if (x[0], x[1]) in wanted]


_CURRENT = (
    "SELECT r.type, r.id, r.version, r.deleted, r.content, d.version, d.etag, r.resident FROM resource r "
    "LEFT JOIN delivered d ON d.destination = '{}' AND d.type = r.type AND d.id = r.id WHERE r.id {}"
)


def finish(database: Database, lane: Lane, *, done: Sequence[int], sent: Sequence[Sent] = (), now: datetime) -> None:
    """Notes what the destination has now, closes deliveries, and gives the lane back when all it was handed is done."""
    whole = [lane.name] if {x.id for x in lane.deliveries} <= set(done) else []
    with writing(database) as raw:
        keep(raw, lane.destination, sent)
        close(raw, lane.destination, lane.worker, done, whole, micro(now))


def retry(database: Database, lane: Lane, due: datetime, error: str, *, attempt: bool = True) -> None:
    """Gives a lane back until it is due again, with the reason. attempt: whether it counts as a failed attempt."""
    lanes, d = t.delivery_lane, t.delivery
    with database.engine.begin() as connection:
        mine = _mine(lane.destination, lane.name, lane.worker)
        values = {"state": "waiting", "worker": None, "lease": None, "due": micro(due), "attempts": lanes.c.attempts + int(attempt), "error": error}
        connection.execute(update(lanes).where(mine).values(**values))
        ids = [x.id for x in lane.deliveries]
        if attempt:
            connection.execute(update(d).where(d.c.id.in_(ids), d.c.state != "done").values(attempts=d.c.attempts + 1, error=error))


def acquire(database: Database, destination: str, lane: str, worker: str, now: datetime, lease: timedelta) -> bool:
    """Leases a lane that another lane's resources refer to, whatever it owes; False while another worker has it."""
    lanes = t.delivery_lane
    values = {"state": "leased", "worker": worker, "lease": micro(now + lease)}
    free = lanes.c.state.in_(["idle", "waiting", "blocked"]) | (lanes.c.lease < micro(now)) | (lanes.c.worker == worker)
    with database.engine.begin() as connection:
        which = and_(lanes.c.destination == destination, lanes.c.lane == lane)
        if connection.execute(update(lanes).where(which, free).values(**values)).rowcount:
            return True
        new = {"d": destination, "l": lane, "w": worker, "u": micro(now + lease), "n": micro(now)}
        return connection.execute(text(_NEW_LANE), new).rowcount == 1


_NEW_LANE = """
INSERT INTO delivery_lane (destination, lane, state, worker, lease, due, attempts) VALUES (:d, :l, 'leased', :w, :u, :n, 0)
ON CONFLICT (destination, lane) DO NOTHING
"""


def give_back(database: Database, destination: str, lane: str, worker: str) -> None:
    """Ends the lease of an acquired lane; what it owes is due as before."""
    lanes, d = t.delivery_lane, t.delivery
    with database.engine.begin() as connection:
        owed = select(d.c.id).where(d.c.destination == destination, d.c.lane == lane, d.c.state != "done").exists()
        mine = _mine(destination, lane, worker)
        connection.execute(update(lanes).where(mine).values(state="waiting", worker=None, lease=None))
        now_idle = and_(lanes.c.destination == destination, lanes.c.lane == lane, lanes.c.state == "waiting", ~owed)
        connection.execute(update(lanes).where(now_idle).values(state="idle"))


def abandon(database: Database, destination: str) -> int:
    """Ends every lease: after a restart of the only process on this database. How many there were."""
    lanes = t.delivery_lane
    with database.engine.begin() as connection:
        left = and_(lanes.c.destination == destination, lanes.c.state == "leased")
        return connection.execute(update(lanes).where(left).values(state="waiting", worker=None, lease=None)).rowcount


def block(database: Database, lane: Lane, error: str) -> None:
    """Stops a lane until a person resumes the destination."""
    lanes = t.delivery_lane
    with database.engine.begin() as connection:
        mine = _mine(lane.destination, lane.name, lane.worker)
        values = {"state": "blocked", "worker": None, "lease": None, "error": error}
        connection.execute(update(lanes).where(mine).values(**values))


def renew(database: Database, lane: Lane, until: datetime) -> bool:
    """Lengthens a lease; False when it was lost."""
    return renew_all(database, lane.destination, [lane.name], lane.worker, until)


def renew_all(database: Database, destination: str, lanes: Collection[str], worker: str, until: datetime) -> bool:
    """Lengthens a worker's leases; False when one of them was lost."""
    t_lane = t.delivery_lane
    mine = and_(t_lane.c.destination == destination, t_lane.c.lane.in_(sorted(lanes)), t_lane.c.state == "leased", t_lane.c.worker == worker)
    with database.engine.begin() as connection:
        return connection.execute(update(t_lane).where(mine).values(lease=micro(until))).rowcount == len(lanes)


def pause(database: Database, destination: str, reason: str, now: datetime) -> None:
    """Stops all deliveries to a destination (401/403/407, TLS, wrong base) until a person resumes it."""
    _pause(database, destination, True, reason, now)


def resume(database: Database, destination: str, now: datetime) -> None:
    """Lets a destination go on: its lanes are due at once."""
    _pause(database, destination, False, None, now)
    lanes = t.delivery_lane
    with database.engine.begin() as connection:
        stopped = and_(lanes.c.destination == destination, lanes.c.state.in_(["waiting", "blocked"]))
        connection.execute(update(lanes).where(stopped).values(state="waiting", due=micro(now), attempts=0, error=None))


def _pause(database: Database, destination: str, paused: bool, reason: str | None, now: datetime) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO destination_state (destination, paused, reason, since) VALUES (:d, :p, :r, :s) "
                "ON CONFLICT (destination) DO UPDATE SET paused = excluded.paused, reason = excluded.reason, since = excluded.since"
            ),
            {"d": destination, "p": paused, "r": reason, "s": micro(now)},
        )


def queue(database: Database) -> list[Queue]:
    """Every destination that something was ever owed to."""
    d, lanes, state = t.delivery, t.delivery_lane, t.destination_state
    with database.engine.connect() as connection:
        owed = {n: (c, m) for n, c, m in connection.execute(select(d.c.destination, func.count(), func.min(d.c.made)).where(d.c.state != "done")
                                                           .group_by(d.c.destination))}  # fmt: skip
        stuck = select(lanes.c.destination, func.count()).where(lanes.c.state == "blocked").group_by(lanes.c.destination)
        blocked: dict[str, int] = {n: c for n, c in connection.execute(stuck)}
        paused = {n: r for n, r in connection.execute(select(state.c.destination, state.c.reason).where(state.c.paused))}
    names = sorted({*owed, *blocked, *paused})
    return [Queue(n, owed.get(n, (0, None))[0], _when(owed.get(n, (0, None))[1]), int(blocked.get(n) or 0), paused.get(n)) for n in names]


def _when(value: int | None) -> datetime | None:
    return None if value is None else moment(value)
