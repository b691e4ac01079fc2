"""The timeline, read in commit order and only below the oldest open writer transaction, so that no reader skips what commits late."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text

from gateway.store import tables as t
from gateway.store.messages import moment
from gateway.store.raw import SPAN

__all__ = ["Event", "feed", "horizon"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: what a record, a link or a decision wrote. seq: where to go on after it."""

    seq: int
    time: datetime
    kind: str
    source: str
    message: int | None
    record: int | None
    version: int | None
    actor: str
    resources: tuple[tuple[str, str, int], ...]


def horizon(connection: Connection) -> int | None:
    """Commit sequences below this are settled; None: all that can be seen are (SQLite has one writer at a time)."""
    if connection.dialect.name == "sqlite":
        return None
    oldest = int(connection.scalar(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")) or 0)
    offset = connection.scalar(select(t.setting.c.value).where(t.setting.c.name == "sequence-offset"))
    return (oldest + (int(bytes(offset)) if offset else 0)) << SPAN


def feed(connection: Connection, after: int = 0, limit: int = 100) -> list[Event]:
    """The next settled events after a commit sequence."""
    e = t.event
    query = select(e).where(e.c.seq > after).order_by(e.c.seq).limit(limit)
    below = horizon(connection)
    if below is not None:
        query = query.where(e.c.seq < below)
    return [
        Event(r[0], moment(r[1]), r[2], r[3], r[4], r[5], r[6], r[7], tuple((a, b, c) for a, b, c in json.loads(r[8])))
        for r in connection.execute(query)
    ]
