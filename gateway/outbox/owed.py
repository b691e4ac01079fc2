"""Owing resources to a destination again, outside any record: a person resumed it, reconciliation found them missing, a target arrived."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from gateway.outbox.bundle import Name
from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.raw import Raw
from gateway.store.unit import SHARED, SHARED_TYPES

CHUNK = 100

_LANE = (
    "INSERT INTO delivery_lane (destination, lane, state, due, attempts) VALUES (?, ?, 'waiting', ?, 0) ON CONFLICT (destination, lane) DO UPDATE "
    "SET state = 'waiting', due = excluded.due WHERE delivery_lane.state = 'idle'"
)


def again(database: Database, destination: str, names: Iterable[Name], now: datetime, *, forget: bool = False) -> None:
    """Adds deliveries of these resources in their lanes. forget: what the destination was known to have of them is forgotten first,
    so that they are sent without If-Match."""
    ordered = sorted(set(names))
    for i in range(0, len(ordered), CHUNK):
        _owe(database, destination, ordered[i : i + CHUNK], micro(now), forget)


def _owe(database: Database, destination: str, names: list[Name], now: int, forget: bool) -> None:
    wanted = set(names)
    with database.transaction() as cursor:
        raw = Raw(cursor, database.dialect)
        lanes: dict[str, list[Name]] = {}
        found = raw.among("SELECT type, id, resident, deleted, version FROM resource WHERE id {}", [id_ for _, id_ in names])
        for type_, id_, resident, deleted, version in found:
            if (type_, id_) not in wanted:
                continue
            shared = resident is None or type_ in SHARED_TYPES
            lanes.setdefault(SHARED if shared else str(resident), []).append((type_, id_))
            which = (destination, type_, id_)
            if forget and deleted:  # a deletion is only sent of what is known to be there
                raw.run("UPDATE delivered SET version = ?, etag = NULL WHERE destination = ? AND type = ? AND id = ?", (version - 1, *which))
            elif forget:
                raw.run("DELETE FROM delivered WHERE destination = ? AND type = ? AND id = ?", which)
        rows = [(raw.number(), destination, lane, 0, None, json.dumps(items), "waiting", 0, now) for lane, items in sorted(lanes.items())]
        raw.insert("delivery", ("id", "destination", "lane", "seq", "record", "items", "state", "attempts", "made"), rows)
        raw.many(_LANE, [(destination, lane, now) for lane in sorted(lanes)])
