"""Reads of resources on the hot path: fixed statements on connections of their own (https://hl7.org/fhir/R4/http.html#read, #vread, #history)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.store.database import Database
from gateway.store.raw import SPAN
from gateway.store.scope import Scope

__all__ = ["Asked", "Current", "Name", "Place", "Reads", "Version"]

Name = tuple[str, str]
"""(type, id) of a resource."""
Current = tuple[int, int, bool, bytes]
"""(version, time in µs, deleted, content)."""

_CURRENT = "SELECT version, time, deleted, content FROM resource WHERE id = ? AND type = ?"
_CURRENTS = "SELECT type, id, version, time, deleted, content FROM resource WHERE id = ANY(?)"
_PAST = (
    "SELECT h.version, h.time, h.deleted, h.content FROM resource r JOIN resource_history h ON h.rid = r.rid "
    "WHERE r.id = ? AND r.type = ? AND h.version = ?"
)
_NOW = "SELECT r.type, r.id, r.rid, r.version, r.seq, r.time, r.deleted, r.content FROM resource r WHERE "
_THEN = "SELECT r.type, r.id, h.rid, h.version, h.seq, h.time, h.deleted, h.content FROM resource_history h JOIN resource r ON r.rid = h.rid WHERE "
_NEXT = "COALESCE((SELECT x.time FROM resource_history x WHERE x.rid = h.rid AND x.version = h.version + 1), r.time)"
_TYPES = (
    "WITH RECURSIVE t(type) AS (SELECT min(type) FROM resource UNION ALL SELECT (SELECT min(type) FROM resource WHERE type > t.type) "
    "FROM t WHERE t.type IS NOT NULL) SELECT type FROM t WHERE type IS NOT NULL"
)


class Version(NamedTuple):
    """One version. time: µs since the epoch. content: JSON bytes, of a tombstone only what identifies it."""

    type: str
    id: str
    version: int
    time: int
    deleted: bool
    content: bytes
    place: Place


class Place(NamedTuple):
    """Where a version stands in a history: by commit, newest first."""

    seq: int
    rid: int
    version: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which history. type, id: "" for all. since: versions from then on (µs). at: versions that were current at some moment of
    [first, last] (µs). after: the last place of the page before."""

    type: str = ""
    id: str = ""
    since: int | None = None
    at: tuple[int, int] | None = None
    after: Place | None = None
    count: int = 20


class Reads:
    """Reads of one database, from any thread. A connection that broke is opened anew once; then the driver's own exception is raised."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sqlite = database.dialect == "sqlite"
        self._idle: deque[Any] = deque()
        self._closed = False

    def close(self) -> None:
        """Closes the connections; one that is just read from is closed after that."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def current(self, type_: str, id_: str, scope: Scope) -> Current | None:
        """The current version; None when there never was one."""
        assert scope is not None
        rows = self._rows(_CURRENT, (id_, type_))
        return rows[0] if rows else None

    def currents(self, names: Iterable[Name], scope: Scope) -> dict[Name, Current]:
        """The same of several (type, id) in one statement, on PostgreSQL; those that never were are left out."""
        assert scope is not None
        wanted = set(names)
        rows = self._rows(_CURRENTS, (sorted({id_ for _, id_ in wanted}),))
        return {(type_, id_): (version, time, deleted, content) for type_, id_, version, time, deleted, content in rows if (type_, id_) in wanted}

    def version(self, type_: str, id_: str, number: int, scope: Scope) -> Current | None:
        """The same of one version."""
        now = self.current(type_, id_, scope)
        if now is None or number == now[0]:
            return now
        rows = self._rows(_PAST, (id_, type_, number))
        return rows[0] if rows else None

    def history(self, asked: Asked, scope: Scope) -> list[Version]:
        """Versions, newest first: one more than `count` when there are more. Only what was committed before the oldest transaction that is
        still open, so that no page skips what commits late."""
        assert scope is not None
        types = [asked.type] if asked.type else self.types()
        below = self._horizon()
        found: list[Version] = []
        for type_ in types:
            found += self._part(_NOW, "r", ["r.type = ?"], [type_], asked, below)
        kind = (["r.type = ?"], [asked.type]) if asked.type else ([], [])
        found += self._part(_THEN, "h", *kind, asked, below)
        found.sort(key=lambda v: v.place, reverse=True)
        return found[: asked.count + 1]

    def versions(self, type_: str, id_: str, scope: Scope) -> int:
        """How many versions a resource has."""
        now = self.current(type_, id_, scope)
        return now[0] if now is not None else 0

    def types(self) -> list[str]:
        """Types that the store holds, deleted resources counted."""
        return [row[0] for row in self._rows(_TYPES, ())]

    def _part(self, select: str, of: str, conditions: Sequence[str], parameters: Sequence[Any], asked: Asked, below: int | None) -> list[Version]:
        """Versions of one table."""
        wanted, values = list(conditions), list(parameters)
        if asked.id:
            wanted.append("r.id = ?")
            values.append(asked.id)
        if asked.since is not None:
            wanted.append(f"{of}.time >= ?")
            values.append(asked.since)
        if asked.at is not None:
            wanted.append(f"{of}.time <= ?")
            values.append(asked.at[1])
            if of == "h":
                wanted.append(f"{_NEXT} > ?")
                values.append(asked.at[0])
        if below is not None:
            wanted.append(f"{of}.seq < ?")
            values.append(below)
        if asked.after is not None:
            wanted.append(f"{of}.seq <= ? AND ({of}.seq, {of}.rid, {of}.version) < (?, ?, ?)")
            values += [asked.after.seq, *asked.after]
        text = f"{select}{' AND '.join(wanted) or 'TRUE'} ORDER BY {of}.seq DESC, {of}.rid DESC, {of}.version DESC LIMIT ?"
        return [
            Version(type_, id_, version, time, bool(deleted), bytes(content), Place(seq, rid, version))
            for type_, id_, rid, version, seq, time, deleted, content in self._rows(text, (*values, asked.count + 1))
        ]

    def _horizon(self) -> int | None:
        """Commit sequences below this are settled (gateway/store/events.py); None on SQLite."""
        if self.sqlite:
            return None
        oldest = int(self._rows("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint", ())[0][0])
        offset = self._rows("SELECT value FROM setting WHERE name = 'sequence-offset'", ())
        return (oldest + (int(bytes(offset[0][0])) if offset else 0)) << SPAN

    def _rows(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        text = statement if self.sqlite else statement.replace("?", "%s")
        try:
            connection = self._idle.pop()  # atomic: a connection serves one thread at a time
        except IndexError:
            return self._anew(text, parameters)
        try:
            rows = self._fetch(connection, text, parameters)
        except self.database.away:
            connection.close()
            return self._anew(text, parameters)
        self._back(connection)
        return rows

    def _anew(self, text: str, parameters: Sequence[Any]) -> list[Any]:
        """The same on a connection opened just now."""
        connection = self.database.raw()
        try:
            rows = self._fetch(connection, text, parameters)
        except BaseException:
            connection.close()
            raise
        self._back(connection)
        return rows

    def _fetch(self, connection: Any, text: str, parameters: Sequence[Any]) -> list[Any]:
        """All rows. From PostgreSQL in binary: contents would travel as hexadecimal digits."""
        cursor = connection.execute(text, parameters) if self.sqlite else connection.execute(text, parameters, binary=True)
        rows: list[Any] = cursor.fetchall()
        return rows

    def _back(self, connection: Any) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)
