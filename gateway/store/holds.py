"""Records that wait for a person: listing, both sides, rejection. Release goes through the pipeline, which maps the record again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from gateway.errors import Conflict, NotFound
from gateway.store import tables as t
from gateway.store.database import Database
from gateway.store.messages import moment

__all__ = ["StoredHold", "decide", "listing", "show"]

SEPARATOR = "\x1f"
"""Between the parts of a record's key as it is stored."""


@dataclass(frozen=True, slots=True)
class StoredHold:
    """One hold. sides: {"stands": {version, resources}, "came": {version, findings}}; part: "" for the whole record, else `Type/id` of the
    one result that waits; key: the record's, in parts; message, row: where the record is found."""

    id: int
    version: int
    record: int
    code: str
    state: str
    sides: dict[str, Any]
    opened: datetime
    decided: datetime | None
    decided_by: str | None
    reason: str | None
    part: str
    source: str
    dataset: str
    key: tuple[str, ...]
    message: int
    row: int
    position: str


def _query() -> Any:
    h, v, r = t.hold, t.record_version, t.record
    return (
        select(h, v.c.source, r.c.dataset, r.c.key, v.c.message, v.c.row, v.c.position)
        .join(v, v.c.id == h.c.version)
        .join(r, r.c.id == h.c.record)
        .order_by(h.c.id.desc())
    )


def _stored(row: Any) -> StoredHold:
    values = list(row)
    values[5] = json.loads(values[5])
    values[6] = moment(values[6])
    values[7] = None if values[7] is None else moment(values[7])
    values[13] = tuple(values[13].split(SEPARATOR))
    return StoredHold(*values)


def listing(database: Database, *, state: str = "open", source: str = "", limit: int = 50) -> list[StoredHold]:
    """Newest first; state "" lists all."""
    query = _query().limit(limit)
    if state:
        query = query.where(t.hold.c.state == state)
    if source:
        query = query.where(t.record_version.c.source == source)
    with database.engine.connect() as connection:
        return [_stored(row) for row in connection.execute(query)]


def show(database: Database, hold: int) -> StoredHold:
    """One hold; NotFound when there is none."""
    with database.engine.connect() as connection:
        row = connection.execute(_query().where(t.hold.c.id == hold)).first()
    if row is None:
        raise NotFound(f"没有编号为 {hold} 的待处理项; 用 `yifang holds list` 查看")
    return _stored(row)


def decide(database: Database, hold: int, state: str, by: str, reason: str, now: datetime) -> None:
    """Closes an open hold as released or rejected; Conflict when it is closed already."""
    h = t.hold
    values = {"state": state, "decided": int(now.timestamp() * 1_000_000), "decided_by": by, "reason": reason}
    with database.engine.begin() as connection:
        if connection.execute(update(h).where(h.c.id == hold, h.c.state == "open").values(**values)).rowcount == 0:
            raise Conflict(f"待处理项 {hold} 已经处理过; 用 `yifang holds show {hold}` 查看结果")
