"""Messages as they arrived: listing, one message with its records, the original bytes as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import RawIOBase
from typing import BinaryIO, cast

from sqlalchemy import Select, func, select

from gateway.errors import Finding, NotFound
from gateway.store import tables as t
from gateway.store.database import Database

__all__ = ["StoredMessage", "chunk", "content", "find_repeat", "listing", "moment", "opened", "reason_json", "show", "unfinished"]


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


def chunk(database: Database, message: int, n: int) -> bytes | None:
    """One chunk of the original bytes, from 0; None behind the last."""
    c = t.message_chunk.c
    with database.engine.connect() as connection:
        found = connection.scalar(select(c.content).where(c.message == message, c.n == n))
    return None if found is None else bytes(found)


def content(database: Database, message: int) -> Iterator[bytes]:
    """The original bytes, chunk by chunk."""
    n = 0
    while (found := chunk(database, message, n)) is not None:
        yield found
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


def count_by_source(database: Database) -> dict[str, int]:
    """Messages per source."""
    with database.engine.connect() as connection:
        return {s: n for s, n in connection.execute(select(t.message.c.source, func.count()).group_by(t.message.c.source))}
