"""Messages as they arrived: listing, one message with its records, the original bytes as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, RawIOBase
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
    """Reads chunks as one file, from any place: all chunks of a message but its last have one size."""

    def __init__(self, database: Database, message: StoredMessage) -> None:
        self._database = database
        self._message = message
        self._position = 0
        self._chunk = chunk(database, message.id, 0) or b""
        self._step = max(1, len(self._chunk))
        self._n = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """To a place counted from the start, from here, or from the end."""
        self._position = max(0, offset + (0, self._position, self._message.size)[whence])
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed's WriteableBuffer
        n, start = divmod(self._position, self._step)
        if n != self._n:
            self._chunk, self._n = chunk(self._database, self._message.id, n) or b"", n
        part = self._chunk[start : start + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)


def opened(database: Database, message: StoredMessage, chunk: int) -> bytes | BinaryIO:
    """What an adapter's extract function gets: the bytes of a message of one chunk, else a stream over its chunks."""
    if message.size <= chunk:
        return b"".join(content(database, message.id))
    return BufferedReader(_Stream(database, message))  # raw, a read may end with a chunk


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
