"""The outcome of one round of deliveries, written in one transaction: what a destination has now, what is owed again, what is done.

Raw SQL in sets (gateway/store/raw.py): a round closes some hundred resources in a dozen lanes, and a statement each would cost more than
sending them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.store.database import Database
from gateway.store.names import Name, rows_of
from gateway.store.raw import Raw
from gateway.store.unit import SHARED, SHARED_TYPES

_OWE = (
    "INSERT INTO delivery_lane (destination, lane, state, due, attempts) VALUES (?, ?, 'waiting', ?, 0) ON CONFLICT (destination, lane) DO UPDATE "
    "SET state = 'waiting', due = excluded.due WHERE delivery_lane.state = 'idle'"
)
_FREE = (
    "UPDATE delivery_lane SET state = 'waiting', worker = NULL, lease = NULL, attempts = 0, error = NULL "
    "WHERE destination = ? AND lane = ? AND state = 'leased' AND worker = ?"
)
_IDLE = (
    "UPDATE delivery_lane SET state = 'idle' WHERE destination = ? AND lane = ? AND state = 'waiting' AND NOT EXISTS "
    "(SELECT 1 FROM delivery d WHERE d.destination = delivery_lane.destination AND d.lane = delivery_lane.lane AND d.state <> 'done')"
)
_THERE = "SELECT d.type, d.id, d.version, d.etag FROM {} n CROSS JOIN delivered d WHERE d.destination = ? AND d.type = n.type AND d.id = n.id"


@dataclass(frozen=True, slots=True)
class Sent:
    """A resource that the destination has now, in our version, under its ETag. seen: (version, ETag) of what it had before, as far as we
    knew; (0, "") for nothing."""

    type: str
    id: str
    version: int
    etag: str
    seen: tuple[int, str] = (0, "")


@contextmanager
def writing(database: Database) -> Iterator[Raw]:
    """A write transaction on a pooled connection."""
    connection = database.engine.raw_connection()
    try:
        with database.lock:
            try:
                cursor = connection.cursor()
                if database.dialect == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                yield Raw(cursor, database.dialect)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
    finally:
        connection.close()


@contextmanager
def reading(database: Database) -> Iterator[Raw]:
    """Reads on a pooled connection."""
    connection = database.engine.raw_connection()
    try:
        yield Raw(connection.cursor(), database.dialect)
    finally:
        connection.close()


def keep(raw: Raw, destination: str, sent: Collection[Sent]) -> list[Name]:
    """Notes what the destination has now. Where another worker sent the same resource at the same time, the later ETag tells what
    stands there; given are those of which an older version stands there: they must be sent again. Settlements of a destination come one
    after another from here on."""
    raw.lock(["delivered:" + destination])
    rows_there = rows_of(raw, _THERE, [(s.type, s.id) for s in sent], destination)
    found: dict[Name, tuple[int, str]] = {(r[0], r[1]): (r[2], r[3] or "") for r in rows_there}
    overtaken, rows = [], []
    for s in sorted(sent, key=lambda s: (s.type, s.id)):
        stands = (s.version, s.etag)
        there = found.get((s.type, s.id))
        if there is not None and there != s.seen:
            stands = max(there, stands, key=lambda x: (int(x[1]) if x[1].isdigit() else 0, x[0]))
            if stands[0] < max(there[0], s.version):
                overtaken.append((s.type, s.id))
        rows.append((destination, s.type, s.id, *stands))
    raw.upsert("delivered", ("destination", "type", "id"), ("version", "etag"), rows)
    return overtaken


def owe(raw: Raw, destination: str, names: Iterable[Name], now: int, *, forget: bool = False) -> None:
    """Adds deliveries of these resources in their lanes. now: µs since the epoch. forget: what the destination was known to have of
    them is forgotten first, so that they are sent without If-Match."""
    wanted = set(names)
    lanes: dict[str, list[Name]] = {}
    for type_, id_, resident, deleted, version in raw.among(
        "SELECT type, id, resident, deleted, version FROM resource WHERE id {}", [i for _, i in wanted]
    ):
        if (type_, id_) not in wanted:
            continue
        lanes.setdefault(lane_of(type_, resident), []).append((type_, id_))
        which = (destination, type_, id_)
        if forget and deleted:  # a deletion is only sent of what is known to be there
            raw.run("UPDATE delivered SET version = ?, etag = NULL WHERE destination = ? AND type = ? AND id = ?", (version - 1, *which))
        elif forget:
            raw.run("DELETE FROM delivered WHERE destination = ? AND type = ? AND id = ?", which)
    rows = [(raw.number(), destination, lane, 0, None, json.dumps(items), "waiting", 0, now) for lane, items in sorted(lanes.items())]
    raw.insert("delivery", ("id", "destination", "lane", "seq", "record", "items", "state", "attempts", "made"), rows)
    raw.many(_OWE, [(destination, lane, now) for lane in sorted(lanes)])


def lane_of(type_: str, resident: int | None) -> str:
    """The lane a resource is delivered from, when no record's set names it."""
    return SHARED if resident is None or type_ in SHARED_TYPES else str(resident)


def close(raw: Raw, destination: str, worker: str, done: Sequence[int], whole: Iterable[str], now: int) -> None:
    """Closes deliveries, and ends the leases of lanes all of whose handed deliveries are done."""
    raw.many("UPDATE delivery SET state = 'done', done = ? WHERE id = ?", [(now, d) for d in done])
    lanes = sorted(whole)
    raw.many(_FREE, [(destination, lane, worker) for lane in lanes])
    rest(raw, destination, lanes)


def rest(raw: Raw, destination: str, lanes: Sequence[str]) -> None:
    """Lanes whose lease was just ended are idle when they owe nothing. A statement of its own: it sees what a writer added while the
    one before it waited for the row."""
    raw.many(_IDLE, [(destination, lane) for lane in lanes])
