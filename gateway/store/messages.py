"""Messages as they arrived: listing, one message with its records, the original bytes as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import RawIOBase
from typing import BinaryIO, cast

from sqlalchemy import Select, and_, func, select

from gateway.errors import Finding, NotFound
from gateway.record import RecordOutcome
from gateway.store import tables as t
from gateway.store.database import Database

__all__ = ["StoredMessage", "content", "find_repeat", "listing", "moment", "opened", "outcomes", "reason_json", "show", "unfinished"]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One stored message; size in bytes, rows = rows done."""

    id: int
    source: str
    name: str
    peer: str
    media_type: str
    charset: str
    digest: str
    size: int
    received: datetime
    state: str
    rows: int
    fresh: bool
    repeats: int
    reason: Finding | None


def moment(microseconds: int) -> datetime:
    """A stored time as a datetime in UTC."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def reason_json(finding: Finding | None) -> str | None:
    """A finding as the store keeps it beside a message."""
    return None if finding is None else json.dumps(finding.as_dict(), ensure_ascii=False)


def _stored(row: Sequence[object]) -> StoredMessage:
    values = list(row)
    values[8] = moment(cast(int, values[8]))
    values[11] = bool(values[11])
    values[13] = Finding(**json.loads(cast(str, values[13]))) if values[13] else None
    return StoredMessage(*values)  # type: ignore[arg-type]  # the columns stand in the order of the fields


def listing(database: Database, *, source: str = "", state: str = "", before: int | None = None, limit: int = 50) -> list[StoredMessage]:
    """Newest first; `before` is the id to go on below."""
    m = t.message
    query: Select[tuple[object, ...]] = select(m).order_by(m.c.id.desc()).limit(limit)
    if source:
        query = query.where(m.c.source == source)
    if state:
        query = query.where(m.c.state == state)
    if before is not None:
        query = query.where(m.c.id < before)
    with database.engine.connect() as connection:
        return [_stored(row) for row in connection.execute(query)]


def show(database: Database, message: int) -> StoredMessage:
    """One message; NotFound when there is none."""
    with database.engine.connect() as connection:
        row = connection.execute(select(t.message).where(t.message.c.id == message)).first()
    if row is None:
        raise NotFound(f"没有编号为 {message} 的消息; 用 `yifang messages list` 查看已有的")
    return _stored(row)


def unfinished(database: Database) -> list[StoredMessage]:
    """Messages that a crash left `processing`, oldest first."""
    m = t.message
    with database.engine.connect() as connection:
        return [_stored(row) for row in connection.execute(select(m).where(m.c.state == "processing").order_by(m.c.id))]


def content(database: Database, message: int) -> Iterator[bytes]:
    """The original bytes, chunk by chunk."""
    chunk = t.message_chunk
    n = 0
    while True:
        with database.engine.connect() as connection:
            found = connection.scalar(select(chunk.c.content).where(chunk.c.message == message, chunk.c.n == n))
        if found is None:
            return
        yield bytes(found)
        n += 1


class _Stream(RawIOBase):
    """Reads chunks as one file; can go back to its start."""

    def __init__(self, database: Database, message: int) -> None:
        self._at = database, message
        self._chunks = content(database, message)
        self._rest = memoryview(b"")
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Only to a place counted from the start or from here: going back reads anew."""
        target = offset if whence == 0 else self._position + offset if whence == 1 else self._size() + offset
        if target < self._position:
            self._chunks, self._rest, self._position = content(*self._at), memoryview(b""), 0
        while self._position < target and self.read(min(1 << 20, target - self._position)):
            pass
        return self._position

    def _size(self) -> int:
        database, message = self._at
        return show(database, message).size

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed's WriteableBuffer
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        taken = min(len(view), len(self._rest))
        view[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        self._position += taken
        return taken


def opened(database: Database, message: StoredMessage, chunk: int) -> bytes | BinaryIO:
    """What an adapter's extract function gets: the bytes of a message of one chunk, else a stream over its chunks."""
    if message.size <= chunk:
        return b"".join(content(database, message.id))
    return cast(BinaryIO, _Stream(database, message.id))


def find_repeat(database: Database, source: str, digest: str) -> StoredMessage | None:
    """The newest message of this source with the same bytes."""
    m = t.message
    with database.engine.connect() as connection:
        row = connection.execute(select(m).where(m.c.digest == digest, m.c.source == source).order_by(m.c.id.desc()).limit(1)).first()
    return None if row is None else _stored(row)


def outcomes(database: Database, message: int) -> list[tuple[RecordOutcome, str, bool]]:
    """What became of a message's records: outcome (with findings and what it wrote), map version, and whether a repeat of the same
    content is certain to change nothing (it has a stamp, or is current)."""
    v, r, e, f = t.record_version, t.record, t.event, t.finding
    query = (
        select(v.c.id, v.c.position, r.c.dataset, r.c.key, v.c.state, v.c.record, v.c.map_version, v.c.stamp, r.c.current, e.c.resources)
        .join(r, r.c.id == v.c.record)
        .join(e, and_(e.c.seq == v.c.seq), isouter=True)
        .where(v.c.message == message)
        .order_by(v.c.row)
    )
    with database.engine.connect() as connection:
        rows = connection.execute(query).all()
        found: dict[int, list[Finding]] = {}
        for row in connection.execute(
            select(f.c.version, f.c.code, f.c.severity, f.c.text, f.c.target, f.c.locator, f.c.line)
            .where(f.c.version.in_(select(v.c.id).where(v.c.message == message)))
            .order_by(f.c.id)
        ):
            found.setdefault(row[0], []).append(Finding(*row[1:]))
    answer = []
    for version, position, dataset, key, state, record, map_version, stamp, current, resources in rows:
        wrote = tuple((a, b, c) for a, b, c in json.loads(resources or "[]"))
        outcome = RecordOutcome(position, dataset, tuple(key.split("\x1f")), state, tuple(found.get(version, ())), wrote, record)
        answer.append((outcome, map_version, bool(stamp) or current == version or state in ("held", "refused")))
    return answer


def count_by_source(database: Database) -> dict[str, int]:
    """Messages per source."""
    with database.engine.connect() as connection:
        return {s: n for s, n in connection.execute(select(t.message.c.source, func.count()).group_by(t.message.c.source))}
