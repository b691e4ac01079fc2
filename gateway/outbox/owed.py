"""Owing resources to a destination again, outside any record: after a person resumed it, or after reconciliation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text, tuple_

from gateway.outbox.bundle import Name
from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.tables import delivered, delivery, resource

SHARED = "shared"
CHUNK = 100


def again(database: Database, destination: str, names: Sequence[Name], now: datetime, *, forget: bool = False) -> None:
    """Adds deliveries of these resources in their lanes. forget: what the destination was known to have of them is forgotten first,
    so that they are sent without If-Match."""
    for i in range(0, len(names), CHUNK):
        _owe(database, destination, sorted(names)[i : i + CHUNK], micro(now), forget)


def _owe(database: Database, destination: str, names: Sequence[Name], now: int, forget: bool) -> None:
    d, r = delivered, resource
    with database.engine.begin() as c:
        if forget:
            c.execute(delete(d).where(d.c.destination == destination, tuple_(d.c.type, d.c.id).in_(names)))
        lanes: dict[str, list[Name]] = {}
        for row in c.execute(select(r.c.type, r.c.id, r.c.resident).where(tuple_(r.c.type, r.c.id).in_(names))):
            lanes.setdefault(SHARED if row.resident is None else str(row.resident), []).append((row.type, row.id))
        first = (c.scalar(select(func.max(delivery.c.id))) or 0) + 1
        for number, (lane, items) in enumerate(lanes.items(), first):
            values = {"id": number, "destination": destination, "lane": lane, "seq": 0, "record": None, "state": "waiting", "attempts": 0}
            c.execute(insert(delivery).values(**values, items=json.dumps(items), made=now))
            c.execute(
                text(
                    "INSERT INTO delivery_lane (destination, lane, state, due, attempts) VALUES (:d, :l, 'waiting', :n, 0) "
                    "ON CONFLICT (destination, lane) DO UPDATE SET state = CASE WHEN delivery_lane.state = 'idle' THEN 'waiting' "
                    "ELSE delivery_lane.state END, due = CASE WHEN delivery_lane.state = 'idle' THEN excluded.due ELSE delivery_lane.due END"
                ),
                {"d": destination, "l": lane, "n": now},
            )
