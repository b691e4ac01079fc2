"""The outbox: what is owed to each destination, lane by lane. Leases are on lanes; the newest version of a resource is enough.

A lane is one resident's (its Patient's row number) or "shared" (Organization, Practitioner ...). An undelivered row for a resource is
not doubled by a newer one: the sender reads `current`, and what a destination has at its newest version needs no sending.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from gateway.store import tables as t
from gateway.store.database import Database
from gateway.store.messages import moment
from gateway.store.names import Name
from gateway.store.raw import Raw
from gateway.store.settlement import close, lane_of, reading, rest, writing
from gateway.store.unit import SHARED, STAYS

__all__ = [
    "Current", "Delivery", "Lane", "Queue",
    "abandon", "acquire", "claim", "claimable", "current", "give_back", "micro", "pause", "prune", "put_off", "queue", "renew", "resume", "retry",
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
    items: tuple[Name, ...]


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
    """A resource as it stands here, and what the destination has of it: `delivered` is our version there, 0 for none, `etag` the server's,
    "" when it is not known. content: "" where it was not asked for, or the resource is deleted here."""

    type: str
    id: str
    version: int
    deleted: bool
    content: bytes
    delivered: int = 0
    etag: str = ""
    resident: int | None = None

    @property
    def name(self) -> Name:
        """(type, id)."""
        return self.type, self.id

    @property
    def lane(self) -> str:
        """The lane it is delivered from, when no record's set names it."""
        return lane_of(self.type, self.resident)

    @property
    def there(self) -> bool:
        """Whether the destination has it in some version."""
        return self.delivered > 0 and (not self.deleted or self.delivered < self.version)


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


_DUE = "destination = ? AND state IN ('waiting','leased') AND due <= ? AND (state = 'waiting' OR lease < ?)"
_RUNNING = "NOT EXISTS (SELECT 1 FROM destination_state s WHERE s.destination = ? AND s.paused)"
_LEASE = (
    "UPDATE delivery_lane SET state = 'leased', worker = ?, lease = ? WHERE destination = ? AND lane IN "
    f"(SELECT lane FROM delivery_lane WHERE {_DUE} {{}}) RETURNING lane, attempts"
)
_OWED = "SELECT id, seq, record, attempts, items FROM delivery WHERE destination = ? AND lane = ? AND state <> 'done' ORDER BY id LIMIT ?"


def claimable(database: Database, destination: str, now: datetime, most: int) -> int:
    """How many lanes could be claimed now, counted up to `most`; 0 while the destination is paused."""
    moment = micro(now)
    query = f"SELECT count(*) FROM (SELECT 1 FROM delivery_lane WHERE {_DUE} AND {_RUNNING} LIMIT ?) AS lanes"
    with reading(database) as raw:
        return int(raw.rows(query, (destination, moment, moment, destination, most))[0][0])


def claim(database: Database, destination: str, worker: str, now: datetime, lease: timedelta, lanes: int) -> list[Lane]:
    """Leases lanes that are due (or whose lease ran out), the shared one first; none while the destination is paused. A lane with nothing
    owed becomes idle."""
    claimed, empty = [], []
    with writing(database) as raw:
        for lane, attempts in _leased(raw, destination, worker, now, lease, lanes):
            rows = raw.rows(_OWED, (destination, lane, ROWS))
            if rows:
                deliveries = tuple(Delivery(r[0], r[1], r[2], r[3], tuple((a, b) for a, b in json.loads(r[4]))) for r in rows)
                claimed.append(Lane(destination, lane, worker, attempts, deliveries))
            else:
                empty.append(lane)
        close(raw, destination, worker, [], empty, micro(now))
    return claimed


def _leased(raw: Raw, destination: str, worker: str, now: datetime, lease: timedelta, lanes: int) -> list[tuple[str, int]]:
    skip = "" if raw.sqlite else "FOR UPDATE SKIP LOCKED"
    moment = micro(now)
    values = (worker, micro(now + lease), destination, destination, moment, moment)
    shared = raw.rows(_LEASE.format(f"AND lane = '{SHARED}' AND {_RUNNING} {skip}"), (*values, destination))
    others = _LEASE.format(f"AND lane <> '{SHARED}' AND {_RUNNING} ORDER BY due LIMIT ? {skip}")
    return [*shared, *sorted(raw.rows(others, (*values, destination, lanes - len(shared))))]


_CURRENT = (
    "SELECT r.type, r.id, r.version, r.deleted, {}, d.version, d.etag, r.resident FROM resource r "
    "LEFT JOIN delivered d ON d.destination = ? AND d.type = r.type AND d.id = r.id WHERE r.id {}"
)


def current(raw: Raw, destination: str, names: Collection[Name], *, content: bool = True) -> list[Current]:
    """Each (type, id) as it stands here, with the version and ETag that the destination has. content: whether it is read, too."""
    wanted = {name for name in names if name[0] not in STAYS}
    if not wanted:
        return []
    ids = sorted({id_ for _, id_ in wanted})
    among = "IN (SELECT value FROM json_each(?))" if raw.sqlite else "= ANY(?)"
    rows = raw.rows(_CURRENT.format("r.content" if content else "NULL", among), (destination, json.dumps(ids) if raw.sqlite else ids))
    return [
        Current(type_, id_, version, bool(deleted), b"" if deleted or not content else bytes(body), delivered or 0, etag or "", resident)
        for type_, id_, version, deleted, body, delivered, etag, resident in rows
        if (type_, id_) in wanted
    ]


_MINE = "destination = ? AND lane = ? AND state = 'leased' AND worker = ?"


def put_off(raw: Raw, lane: Lane, due: datetime, error: str, *, attempt: bool = True) -> None:
    """Gives a lane back until it is due again, with the reason. attempt: whether it counts as a failed attempt."""
    values = (micro(due), int(attempt), error, lane.destination, lane.name, lane.worker)
    raw.run(
        f"UPDATE delivery_lane SET state = 'waiting', worker = NULL, lease = NULL, due = ?, attempts = attempts + ?, error = ? WHERE {_MINE}", values
    )
    if attempt:
        statement = "UPDATE delivery SET attempts = attempts + 1, error = ? WHERE id = ? AND state <> 'done'"
        raw.many(statement, [(error, d.id) for d in lane.deliveries])


def retry(database: Database, lane: Lane, due: datetime, error: str, *, attempt: bool = True) -> None:
    """`put_off` in a transaction of its own."""
    with writing(database) as raw:
        put_off(raw, lane, due, error, attempt=attempt)


_TAKE = (
    "INSERT INTO delivery_lane (destination, lane, state, worker, lease, due, attempts) VALUES (?, ?, 'leased', ?, ?, ?, 0) "
    "ON CONFLICT (destination, lane) DO UPDATE SET state = 'leased', worker = excluded.worker, lease = excluded.lease "
    "WHERE delivery_lane.state IN ('idle','waiting','blocked') OR delivery_lane.lease < excluded.due OR delivery_lane.worker = excluded.worker"
)


def acquire(database: Database, destination: str, lanes: Iterable[str], worker: str, now: datetime, lease: timedelta) -> set[str]:
    """Leases lanes that another lane's resources refer to, whatever they owe; those that are this worker's now."""
    with writing(database) as raw:
        return {lane for lane in sorted(lanes) if raw.run(_TAKE, (destination, lane, worker, micro(now + lease), micro(now)))}


def give_back(database: Database, destination: str, lanes: Iterable[str], worker: str) -> None:
    """Ends the leases of acquired lanes; what they owe is due as before."""
    names = sorted(lanes)
    with writing(database) as raw:
        raw.many(f"UPDATE delivery_lane SET state = 'waiting', worker = NULL, lease = NULL WHERE {_MINE}", [(destination, n, worker) for n in names])
        rest(raw, destination, names)


def abandon(database: Database, destination: str) -> int:
    """Ends every lease: after a restart of the only process on this database. How many there were."""
    with writing(database) as raw:
        return raw.run(
            "UPDATE delivery_lane SET state = 'waiting', worker = NULL, lease = NULL WHERE destination = ? AND state = 'leased'", (destination,)
        )


def renew(database: Database, destination: str, lanes: Collection[str], worker: str, until: datetime) -> bool:
    """Lengthens a worker's leases; False when one of them was lost."""
    with writing(database) as raw:
        statement = f"UPDATE delivery_lane SET lease = ? WHERE {_MINE}"
        return sum(raw.run(statement, (micro(until), destination, lane, worker)) for lane in sorted(lanes)) == len(lanes)


def pause(database: Database, destination: str, reason: str, now: datetime) -> None:
    """Stops all deliveries to a destination (401/403/407, TLS, wrong base) until a person resumes it."""
    with writing(database) as raw:
        _pause(raw, destination, True, reason, now)


def resume(database: Database, destination: str, now: datetime) -> None:
    """Lets a destination go on: its lanes are due at once."""
    lanes = "UPDATE delivery_lane SET state = 'waiting', due = ?, attempts = 0, error = NULL WHERE destination = ? AND state IN ('waiting','blocked')"
    with writing(database) as raw:
        _pause(raw, destination, False, None, now)
        raw.run(lanes, (micro(now), destination))


def _pause(raw: Raw, destination: str, paused: bool, reason: str | None, now: datetime) -> None:
    raw.upsert("destination_state", ("destination",), ("paused", "reason", "since"), [(destination, paused, reason, micro(now))])


def prune(database: Database, destination: str, after: int, before: datetime, rows: int) -> int | None:
    """Takes away what was finished before that moment, of the next `rows` deliveries after this id. The last id looked at; None when
    younger ones follow, or none."""
    moment = micro(before)
    with reading(database) as raw:
        found = raw.rows("SELECT id, destination, made, done FROM delivery WHERE id > ? ORDER BY id LIMIT ?", (after, rows))
    old = [(r[0],) for r in found if r[1] == destination and r[3] is not None and r[3] < moment]
    if old:
        with writing(database) as raw:
            raw.many("DELETE FROM delivery WHERE id = ?", old)
    return found[-1][0] if len(found) == rows and found[-1][2] < moment else None


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
