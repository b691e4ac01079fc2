"""Building the search index anew: after an upgrade that changes what is indexed, and when a site's own search parameters change.

In steps, each one transaction that also says how far it came: a run that was interrupted goes on where it stopped, and messages are
written in between. What the index was built by stands in the table `setting`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import select

from gateway.fhir import json
from gateway.store.database import Database
from gateway.store.index.keys import Indexer
from gateway.store.index.write import IndexRow, IndexWriter
from gateway.store.raw import Raw
from gateway.store.tables import setting

__all__ = ["Progress", "outdated", "settle", "step"]

BUILT, POSITION = "index", "reindex"
ROWS = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. done, total: resources."""

    done: int
    total: int

    @property
    def finished(self) -> bool:
        """Whether everything is indexed as it should be."""
        return self.done >= self.total


class _Position(msgspec.Struct):
    """Where a run stands: for which index, the last rid it indexed."""

    digest: str
    after: int = 0
    done: int = 0
    total: int = 0


def outdated(database: Database, indexer: Indexer) -> bool:
    """Whether the index was built otherwise than this indexer builds it."""
    with database.engine.connect() as connection:
        found = connection.scalar(select(setting.c.value).where(setting.c.name == BUILT))
        return found is None or bytes(found).decode() != indexer.digest


def settle(database: Database, indexer: Indexer, say: Callable[[Progress], None]) -> bool:
    """Before writing begins: an empty database takes the indexer as it is, and one whose index is of an older format is indexed anew,
    telling how far it came. Whether searches by all parameters are complete then: not so when only the site's own ones changed, which
    is left to `yifang reindex`."""
    with database.transaction() as cursor:
        raw = Raw(cursor, database.dialect)
        built = _built(raw)
        if built == indexer.digest:
            return True
        if not raw.rows("SELECT 1 FROM resource LIMIT 1"):
            _keep(raw, BUILT, indexer.digest.encode())
            return True
    if built.partition(":")[0] == indexer.digest.partition(":")[0]:
        return False
    while True:
        progress = step(database, indexer)
        say(progress)
        if progress.finished:
            return True


def step(database: Database, indexer: Indexer, rows: int = ROWS) -> Progress:
    """Indexes the next `rows` resources anew, in one transaction; the last step of a run says what the index is built by now."""
    with database.transaction() as cursor:
        raw = Raw(cursor, database.dialect)
        position = _position(raw, indexer.digest)
        lock = "" if raw.sqlite else " FOR UPDATE"  # a writer changes a resource before its index
        query = "SELECT rid, type, time, deleted, content FROM resource WHERE rid > ? ORDER BY rid LIMIT ?"
        found = raw.rows(query + lock, (position.after, rows))
        kept = [row for row in found if not row[3]]
        entries = [IndexRow(rid, type_, time, indexer.entries(type_, json.decode(bytes(content)))) for rid, type_, time, _, content in kept]
        IndexWriter(database.dialect).update(cursor, entries)
        if len(found) < rows:
            raw.run("DELETE FROM setting WHERE name = ?", (POSITION,))
            _keep(raw, BUILT, indexer.digest.encode())
            return Progress(position.total, position.total)
        position.after, position.done = found[-1][0], min(position.done + len(found), position.total - 1)
        _keep(raw, POSITION, msgspec.json.encode(position))
        return Progress(position.done, position.total)


def _built(raw: Raw) -> str:
    """By what the index was built: `format:digest`; "" for one that was written before that was kept."""
    found = raw.rows("SELECT value FROM setting WHERE name = ?", (BUILT,))
    return bytes(found[0][0]).decode() if found else ""


def _position(raw: Raw, digest: str) -> _Position:
    """Where the run for this index stands; a new one begins at the first resource. Two processes take turns."""
    if not raw.sqlite:
        raw.rows("SELECT pg_advisory_xact_lock(hashtext('yifang reindex'))")
    found = raw.rows("SELECT value FROM setting WHERE name = ?", (POSITION,))
    held = msgspec.json.decode(bytes(found[0][0]), type=_Position) if found else None
    if held is not None and held.digest == digest:
        return held
    ((total,),) = raw.rows("SELECT count(*) FROM resource")
    return _Position(digest, total=int(total))


def _keep(raw: Raw, name: str, value: Any) -> None:
    raw.upsert("setting", ("name",), ("value",), [(name, value)])
