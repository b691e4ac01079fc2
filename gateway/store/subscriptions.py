"""Where each Subscription stands: in the timeline, in the numbers of its events, with its receiver. Leases keep two processes apart.

Numbers are given by compare-and-set on the row (cursor and number together), so that two processes that look through the same part of the
timeline give each event one number. What an event is about is kept by type, id and version; nothing of its content is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.names import Name
from gateway.store.raw import Raw
from gateway.store.scope import Scope
from gateway.store.settlement import reading, writing

__all__ = [
    "Held", "Noted", "Standing", "Taken",
    "abandon", "advance", "claim", "contents", "events", "forget", "new_of", "put_off", "seen", "settle", "standing", "standings", "take_up", "words",
]  # fmt: skip

_COLUMNS = "id, version, state, caller, cursor, number, sent, heartbeat, ends, spoken, worker, lease, due, attempts, failing, error"


@dataclass(frozen=True, slots=True)
class Standing:
    """One Subscription's row. Times are µs since the epoch."""

    id: str
    version: int
    state: str
    caller: str
    cursor: int
    number: int
    sent: int
    heartbeat: int | None
    ends: int | None
    spoken: int | None
    worker: str | None
    lease: int | None
    due: int
    attempts: int
    failing: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """A Subscription resource that is not taken up in its present version. actor: the client that wrote it."""

    id: str
    version: int
    seq: int
    deleted: bool
    content: bytes
    actor: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What a version of a Subscription changes in its row. cursor None: where it stands."""

    id: str
    version: int
    state: str
    caller: str
    cursor: int | None = None
    heartbeat: int | None = None
    ends: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """One event of a Subscription. how: create | update | delete."""

    number: int
    seq: int
    time: int
    type: str
    id: str
    version: int
    how: str


_NEW = (
    "SELECT r.id, r.version, r.seq, r.deleted, r.content, COALESCE(e.actor, '') FROM resource r LEFT JOIN subscription s ON s.id = r.id "
    "LEFT JOIN event e ON e.seq = r.seq WHERE r.type = 'Subscription' AND (s.version IS NULL OR s.version <> r.version) ORDER BY r.seq"
)


def new_of(database: Database) -> list[Held]:
    """Subscriptions whose present version was not taken up yet, in the order of their commits."""
    with reading(database) as raw:
        return [Held(r[0], r[1], r[2], bool(r[3]), bytes(r[4]), r[5]) for r in raw.rows(_NEW)]


_TAKE = (
    "INSERT INTO subscription (id, version, state, caller, cursor, number, sent, heartbeat, ends, due, attempts, error) "
    "VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, ?, 0, ?) ON CONFLICT (id) DO UPDATE SET version = excluded.version, state = excluded.state, "
    "caller = excluded.caller, cursor = CASE WHEN subscription.state = 'off' AND excluded.cursor > subscription.cursor THEN excluded.cursor "
    "ELSE subscription.cursor END, heartbeat = excluded.heartbeat, ends = excluded.ends, due = excluded.due, attempts = 0, failing = NULL, "
    "error = excluded.error WHERE subscription.version < excluded.version"
)


def take_up(raw: Raw, taken: Taken, now: int) -> bool:
    """Enters a version of a Subscription; False when another process did, or a newer one stands there. One that was off goes on where the
    timeline stands now, any other where it stood: what happened meanwhile is still owed to it."""
    t = taken
    return raw.run(_TAKE, (t.id, t.version, t.state, t.caller, t.cursor or 0, t.heartbeat, t.ends, now, t.error)) > 0


def standings(database: Database, *states: str) -> list[Standing]:
    """All rows, or those in these states, by id."""
    among = f"WHERE state IN ({','.join('?' * len(states))})" if states else ""
    with reading(database) as raw:
        return [Standing(*r) for r in raw.rows(f"SELECT {_COLUMNS} FROM subscription {among} ORDER BY id", states)]


def standing(database: Database, id_: str) -> Standing | None:
    """The row of one Subscription; None when it was not taken up yet."""
    with reading(database) as raw:
        rows = raw.rows(f"SELECT {_COLUMNS} FROM subscription WHERE id = ?", [id_])
    return Standing(*rows[0]) if rows else None


def words(database: Database, id_: str, scope: Scope) -> tuple[int, bytes] | None:
    """Version and content of the Subscription resource; None when there is none, or it was deleted."""
    assert scope is not None
    with reading(database) as raw:
        rows = raw.rows("SELECT version, deleted, content FROM resource WHERE id = ? AND type = 'Subscription'", [id_])
    return (rows[0][0], bytes(rows[0][2])) if rows and not rows[0][1] else None


# -- numbers ---------------------------------------------------------------------------------------------------------------------------

_ADVANCE = "UPDATE subscription SET cursor = ?, number = ? WHERE id = ? AND state = 'active' AND cursor = ? AND number = ?"
_EVENT = ("subscription", "number", "seq", "time", "type", "id", "version", "how")


def advance(raw: Raw, was: Standing, cursor: int, noted: Sequence[Noted]) -> bool:
    """Moves a Subscription on along the timeline, with the events it was given numbers for; False when another process did it before."""
    if not raw.run(_ADVANCE, (cursor, was.number + len(noted), was.id, was.cursor, was.number)):
        return False
    raw.insert("subscription_event", _EVENT, [(was.id, n.number, n.seq, n.time, n.type, n.id, n.version, n.how) for n in noted])
    return True


def events(database: Database, id_: str, first: int, last: int, limit: int) -> list[Noted]:
    """Events of a Subscription with numbers from `first` to `last`, both included, in order."""
    query = "SELECT number, seq, time, type, id, version, how FROM subscription_event WHERE subscription = ? AND number BETWEEN ? AND ? "
    with reading(database) as raw:
        return [Noted(*r) for r in raw.rows(query + "ORDER BY number LIMIT ?", (id_, first, last, limit))]


def forget(database: Database, before: datetime) -> int:
    """Forgets events older than this that their receivers have; how many."""
    statement = (
        "DELETE FROM subscription_event WHERE time < ? AND number <= "
        "COALESCE((SELECT s.sent FROM subscription s WHERE s.id = subscription_event.subscription), 0)"
    )
    with writing(database) as raw:
        return raw.run(statement, [micro(before)])


_NOW = "SELECT r.type, r.id, r.version, r.deleted, r.content FROM resource r WHERE r.id {}"
_THEN = "SELECT r.type, r.id, h.version, h.deleted, h.content FROM resource r JOIN resource_history h ON h.rid = r.rid WHERE r.id {}"


def contents(database: Database, wanted: Iterable[tuple[str, str, int]], scope: Scope) -> dict[tuple[str, str, int], bytes | None]:
    """Content of these versions that the scope can see; None for one that was a deletion."""
    assert scope is not None
    found: dict[tuple[str, str, int], bytes | None] = {}
    missing = set(wanted)
    with reading(database) as raw:
        for query in (_NOW, _THEN):
            for type_, id_, version, deleted, content in raw.among(query, [i for _, i, _ in missing]):
                if (type_, id_, version) in missing:
                    found[type_, id_, version] = None if deleted else bytes(content)
            missing -= found.keys()
    return found


def seen(database: Database, names: Iterable[Name], scope: Scope) -> set[Name]:
    """Those of the resources that the scope can see, deleted ones too."""
    assert scope is not None
    wanted = set(names)
    with reading(database) as raw:
        rows = raw.among("SELECT type, id FROM resource WHERE id {}", [i for _, i in wanted])
    return wanted & {(r[0], r[1]) for r in rows}


# -- leases ----------------------------------------------------------------------------------------------------------------------------

_OWED = (
    "due <= ? AND (lease IS NULL OR lease < ?) AND (state = 'requested' OR (state = 'active' AND (number > sent "
    "OR ends <= ? OR (heartbeat IS NOT NULL AND COALESCE(spoken, 0) + heartbeat <= ?))))"
)


def claim(database: Database, worker: str, now: int, until: int) -> Standing | None:
    """Leases the Subscription that has been due for longest; None when none is."""
    with reading(database) as raw:  # looking reads only: what is idle locks nobody out
        if not raw.rows(f"SELECT 1 FROM subscription WHERE {_OWED} LIMIT 1", [now] * 4):
            return None
    with writing(database) as raw:
        skip = "" if raw.sqlite else "FOR UPDATE SKIP LOCKED"
        chosen = f"SELECT id FROM subscription WHERE {_OWED} ORDER BY due, id LIMIT 1 {skip}"
        rows = raw.rows(f"UPDATE subscription SET worker = ?, lease = ? WHERE id IN ({chosen}) RETURNING {_COLUMNS}", (worker, until, *[now] * 4))
    return Standing(*rows[0]) if rows else None


def settle(database: Database, id_: str, worker: str, sent: int, now: int) -> bool:
    """The receiver has the events up to `sent`: the lease ends, the Subscription is due at once. False when the lease was lost; what the
    receiver has is noted all the same."""
    with writing(database) as raw:
        raw.run("UPDATE subscription SET sent = ? WHERE id = ? AND sent < ? AND number >= ?", (sent, id_, sent, sent))
        return raw.run(_FREE + ", due = ?, spoken = ?, attempts = 0, failing = NULL, error = NULL " + _MINE, (now, now, id_, worker)) > 0


def put_off(database: Database, id_: str, worker: str, due: int, error: str | None, now: int) -> bool:
    """Gives a Subscription back until it is due again. error: why the attempt failed; None: there was none."""
    failed = ", attempts = attempts + 1, failing = COALESCE(failing, ?), error = ?" if error is not None else ""
    values = (due, *((now, error) if error is not None else ()), id_, worker)
    with writing(database) as raw:
        return raw.run(_FREE + ", due = ?" + failed + " " + _MINE, values) > 0


_FREE = "UPDATE subscription SET worker = NULL, lease = NULL"
_MINE = "WHERE id = ? AND worker = ?"


def abandon(database: Database) -> int:
    """Ends every lease: after a restart of the only process on this database. How many there were."""
    with writing(database) as raw:
        return raw.run(_FREE + " WHERE worker IS NOT NULL")
