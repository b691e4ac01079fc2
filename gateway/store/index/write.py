"""Writes the search index inside the writer's transaction, with raw DBAPI cursors (sqlite3 `executemany`, PostgreSQL binary COPY).

New postings go to `index_fresh` in the commit; `IndexWriter.merge_step` moves them to `index_posting` in key order, a few thousand at a
time, so that no writer waits for a long merge. A reader sees each posting in one of the two: a step is one transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from gateway.store.index import tables
from gateway.store.index.keys import Entries
from gateway.store.index.values import LONGEST, normalised

__all__ = ["START", "IndexRow", "IndexWriter"]

Posting = tuple[int, int, int]
START: Posting = (-(2**63), -(2**63), -(2**63))
_COPY = struct.Struct(">hiqiqiq")
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_POSTING = "key, t, rid"
_LAST = (
    f"SELECT {_POSTING} FROM (SELECT {_POSTING} FROM index_fresh WHERE (key, t, rid) > (%s, %s, %s) ORDER BY key, t, rid LIMIT %s) AS step "
    "ORDER BY key DESC, t DESC, rid DESC LIMIT 1"
)
_ROW = tables.row.columns.keys()
_STRING = tables.string.columns.keys()
_IDENTIFIER = tables.identifier.columns.keys()


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What one version of one resource brings to the index. rid: resource.rid. time: when it is written, µs since 1970."""

    rid: int
    type: str
    time: int
    entries: Entries

    def postings(self) -> list[Posting]:
        """(key, t, rid): its selective values at its clinical time, and its type at the time of writing."""
        rid, entries = self.rid, self.entries
        t = entries.t
        return [(k, t, rid) for k in entries.posting_keys] + [(entries.updated_key, self.time, rid)]


class _Engine(Protocol):
    def insert(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None: ...
    def delete(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None: ...
    def append(self, cursor: Any, postings: Sequence[Posting]) -> None: ...
    def stored(self, cursor: Any, rids: Sequence[int]) -> list[tuple[Any, ...]]: ...
    def last(self, cursor: Any, after: Posting, rows: int) -> Posting | None: ...
    def move(self, cursor: Any, after: Posting, last: Posting) -> None: ...


class _Sqlite:
    def insert(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            cursor.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", rows)

    def delete(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            cursor.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{c} = ?' for c in columns)}", rows)

    def append(self, cursor: Any, postings: Sequence[Posting]) -> None:
        cursor.executemany(f"INSERT OR IGNORE INTO index_fresh ({_POSTING}) VALUES (?, ?, ?)", postings)

    def stored(self, cursor: Any, rids: Sequence[int]) -> list[tuple[Any, ...]]:
        marks = ", ".join("?" * len(rids))
        found: list[tuple[Any, ...]] = cursor.execute(f"SELECT {', '.join(_ROW)} FROM index_row WHERE rid IN ({marks})", list(rids)).fetchall()
        return found

    def last(self, cursor: Any, after: Posting, rows: int) -> Posting | None:
        found: Posting | None = cursor.execute(_LAST.replace("%s", "?"), (*after, rows)).fetchone()
        return found

    def move(self, cursor: Any, after: Posting, last: Posting) -> None:
        between = "FROM index_fresh WHERE (key, t, rid) > (?, ?, ?) AND (key, t, rid) <= (?, ?, ?)"
        cursor.execute(f"INSERT OR IGNORE INTO index_posting ({_POSTING}) SELECT {_POSTING} {between} ORDER BY key, t, rid", (*after, *last))
        cursor.execute(f"DELETE {between}", (*after, *last))


class _Postgres:
    def insert(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

    def delete(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            cursor.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{c} = %s' for c in columns)}", rows)

    def append(self, cursor: Any, postings: Sequence[Posting]) -> None:
        if postings:
            line = _COPY.pack
            with cursor.copy(f"COPY index_fresh ({_POSTING}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(_COPY_HEAD + b"".join([line(3, 8, key, 8, t, 8, rid) for key, t, rid in postings]) + _COPY_END)

    def stored(self, cursor: Any, rids: Sequence[int]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = cursor.execute(f"SELECT {', '.join(_ROW)} FROM index_row WHERE rid = ANY(%s)", [list(rids)]).fetchall()
        return found

    def last(self, cursor: Any, after: Posting, rows: int) -> Posting | None:
        found: Posting | None = cursor.execute(_LAST, (*after, rows)).fetchone()
        return found

    def move(self, cursor: Any, after: Posting, last: Posting) -> None:
        # one statement: what another writer commits meanwhile stays in index_fresh
        cursor.execute(
            f"WITH moved AS (DELETE FROM index_fresh WHERE (key, t, rid) > (%s, %s, %s) AND (key, t, rid) <= (%s, %s, %s) RETURNING {_POSTING}) "
            f"INSERT INTO index_posting ({_POSTING}) SELECT {_POSTING} FROM moved ORDER BY key, t, rid ON CONFLICT DO NOTHING",
            (*after, *last),
        )


class IndexWriter:
    """The index's side of a commit. dialect: sqlite | postgresql. The caller owns the transaction and the cursor."""

    def __init__(self, dialect: str) -> None:
        self._engine: _Engine = _Sqlite() if dialect == "sqlite" else _Postgres()

    def add(self, cursor: Any, rows: Sequence[IndexRow]) -> None:
        """Entries of resources that the index does not hold yet (each rid once)."""
        engine = self._engine
        engine.append(cursor, sorted(posting for row in rows for posting in row.postings()))
        self._rows(cursor, rows)

    def update(self, cursor: Any, rows: Sequence[IndexRow]) -> None:
        """Entries of new versions (each rid once): what they no longer have is taken out, what is new is put in. Unknown rids are added."""
        if not rows:
            return
        old = self._take(cursor, [row.rid for row in rows])
        new = {posting for row in rows for posting in row.postings()}
        gone = sorted(old - new)
        for table in ("index_fresh", "index_posting"):
            self._engine.delete(cursor, table, ("key", "t", "rid"), gone)
        self._engine.append(cursor, sorted(new - old))
        self._rows(cursor, rows)

    def remove(self, cursor: Any, rids: Iterable[int]) -> None:
        """Takes deleted resources out of the index."""
        wanted = list(rids)
        if wanted:
            gone = sorted(self._take(cursor, wanted))
            for table in ("index_fresh", "index_posting"):
                self._engine.delete(cursor, table, ("key", "t", "rid"), gone)

    def merge_step(self, cursor: Any, rows: int = 5000, after: Posting = START) -> Posting | None:
        """Moves at most `rows` postings above `after` from `index_fresh` to `index_posting`, in the caller's (short) transaction.

        Gives where to go on, None when nothing is left above `after`: the round is done, start the next from `START`.
        """
        last = self._engine.last(cursor, after, rows)
        if last is not None:
            self._engine.move(cursor, after, last)
        return last

    def _rows(self, cursor: Any, rows: Sequence[IndexRow]) -> None:
        """The rows beside the postings: all keys, strings, identifiers."""
        stored, strings, identifiers = [], [], []
        for row in rows:
            e = row.entries
            numbers = msgspec.json.encode(e.identifiers) if e.identifiers else None
            stored.append((row.rid, e.t, int(e.long), row.time, e.updated_key, len(e.posted), e.keys, e.spans, e.amounts, e.texts, numbers))
            strings += [(slot, value, row.rid) for slot, value in e.strings]
            identifiers += [(key, row.rid, system, value, row.type) for key, system, value in e.identifiers]
        self._engine.insert(cursor, "index_row", _ROW, stored)
        self._engine.insert(cursor, "index_string", _STRING, strings)
        self._engine.insert(cursor, "identifier_key", _IDENTIFIER, identifiers)

    def _take(self, cursor: Any, rids: Sequence[int]) -> set[Posting]:
        """Deletes the rows of these resources but for their postings, which are given back."""
        old: set[Posting] = set()
        strings, identifiers = [], []
        for rid, t, long, time, updated, posted, keys, _, _, texts, numbers in self._engine.stored(cursor, rids):
            old |= {(key | long, t, rid) for key in struct.unpack_from(f"<{posted}q", keys)}
            old.add((updated, time, rid))
            for key, text in msgspec.json.decode(texts) if texts else ():
                strings += [(key, value, rid) for value in {normalised(text)[:LONGEST], text[:LONGEST]}]
            identifiers += [(key, rid, system) for key, system, _ in (msgspec.json.decode(numbers) if numbers else ())]
        self._engine.delete(cursor, "index_string", _STRING, strings)
        self._engine.delete(cursor, "identifier_key", ("key", "rid", "system"), identifiers)
        self._engine.delete(cursor, "index_row", ("rid",), [(rid,) for rid in rids])
        return old
