"""Writes the search index inside the writer's transaction, with raw DBAPI cursors (SQLite statements of many rows, PostgreSQL COPY or arrays).

New postings go to `index_fresh` in the commit; `IndexWriter.merge_step` moves them to `index_posting` in key order, a few thousand at a
time, so that no writer waits for a long merge. A reader sees each posting in one of the two: a step is one transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.store.index import tables
from gateway.store.index.folding import normalised, plain
from gateway.store.index.keys import Entries
from gateway.store.index.values import LONGEST
from gateway.store.raw import insert_rows, pipelined, put_rows

__all__ = ["BATCHES", "START", "IndexRow", "IndexWriter"]

Posting = tuple[int, int, int]
BATCH_POSTINGS = 8000
"""SQLite: small commits share a batch until it holds so many postings."""
BATCHES = (
    "WITH RECURSIVE b(n) AS (SELECT min(batch) FROM index_fresh UNION ALL "
    "SELECT (SELECT min(batch) FROM index_fresh WHERE batch > n) FROM b WHERE n IS NOT NULL) SELECT n FROM b WHERE n IS NOT NULL"
)
"""SQLite: the numbers of all batches, one step down the tree for each."""
START: Posting = (-(2**63), -(2**63), -(2**63))
_COPY = struct.Struct(">hiqiqiqiq")
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_KEY = itemgetter(0)
_POSTING = "key, t, rid"
_APPEND = f"INSERT INTO index_fresh (batch, {_POSTING}) SELECT 0, * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])"
_LAST = (
    f"SELECT {_POSTING} FROM (SELECT {_POSTING} FROM index_fresh WHERE batch = 0 AND (key, t, rid) > (%s, %s, %s) ORDER BY key, t, rid "
    "LIMIT %s) AS step ORDER BY key DESC, t DESC, rid DESC LIMIT 1"
)
_ROW = tables.row.columns.keys()
_STRING = tables.string.columns.keys()


class IndexRow(NamedTuple):
    """What one version of one resource brings to the index. rid: resource.rid. time: when it is written, µs since 1970."""

    rid: int
    type: str
    time: int
    entries: Entries

    def postings(self) -> list[Posting]:
        """(key, t, rid): its selective values at its clinical time, and its type at the time of writing."""
        rid, _, time, entries = self
        t = entries.t
        found = [(k, t, rid) for k in entries.posting_keys]
        found.append((entries.updated_key, time, rid))
        return found


class _Engine(Protocol):
    def insert(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None: ...
    def delete(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None: ...
    def append(self, cursor: Any, postings: Sequence[Posting]) -> None: ...
    def stored(self, cursor: Any, rids: Sequence[int]) -> list[tuple[Any, ...]]: ...
    def take_out(self, cursor: Any, postings: Sequence[Posting]) -> None: ...
    def merge(self, cursor: Any, rows: int, after: Posting) -> Posting | None: ...


class _Sqlite:
    def __init__(self) -> None:
        self._batch = 0
        self._filled = BATCH_POSTINGS  # so that the first commit opens a batch of its own

    def insert(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            insert_rows(cursor, f"INSERT OR IGNORE INTO {table} ({', '.join(columns)})", len(columns), rows)

    def delete(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            cursor.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{c} = ?' for c in columns)}", rows)

    def append(self, cursor: Any, postings: Sequence[Posting]) -> None:
        if not postings:
            return
        if self._filled >= BATCH_POSTINGS:
            ((last,),) = cursor.execute("SELECT COALESCE(max(batch), 0) FROM index_fresh").fetchall()
            self._batch, self._filled = max(self._batch, last) + 1, 0
        self._filled += len(postings)
        batch = self._batch
        insert_rows(cursor, "INSERT OR IGNORE INTO index_fresh", 4, [(batch, *posting) for posting in postings])

    def take_out(self, cursor: Any, postings: Sequence[Posting]) -> None:
        if postings:
            cursor.executemany("DELETE FROM index_posting WHERE key = ? AND t = ? AND rid = ?", postings)
            batches = [number for (number,) in cursor.execute(BATCHES).fetchall()]
            rows = [(batch, *posting) for batch in batches for posting in postings]
            cursor.executemany("DELETE FROM index_fresh WHERE batch = ? AND key = ? AND t = ? AND rid = ?", rows)

    def stored(self, cursor: Any, rids: Sequence[int]) -> list[tuple[Any, ...]]:
        marks = ", ".join("?" * len(rids))
        found: list[tuple[Any, ...]] = cursor.execute(f"SELECT {', '.join(_ROW)} FROM index_row WHERE rid IN ({marks})", list(rids)).fetchall()
        return found

    def merge(self, cursor: Any, rows: int, after: Posting) -> Posting | None:
        """`after`: (last key, width of a step, steps left). A step takes an equal part of the keys, which are hashes, of all batches."""
        low, width, left = after
        if after == START:
            ((held,),) = cursor.execute("SELECT count(*) FROM index_fresh").fetchall()
            left = -(-held // rows)
            width = -(-(2**64) // left) if left else 0
        if not left:
            return None
        high = min(low + width, 2**63 - 1)
        between = f"FROM index_fresh WHERE batch IN ({BATCHES}) AND key >= ? AND key <= ?"
        cursor.execute(f"INSERT OR IGNORE INTO index_posting ({_POSTING}) SELECT {_POSTING} {between} ORDER BY key, t, rid", (low, high))
        cursor.execute(f"DELETE {between}", (low, high))
        return None if left == 1 else (high, width, left - 1)


class _Postgres:
    def insert(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            put_rows(cursor, table, columns, rows)

    def delete(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            cursor.executemany(f"DELETE FROM {table} WHERE {' AND '.join(f'{c} = %s' for c in columns)}", rows)

    def append(self, cursor: Any, postings: Sequence[Posting]) -> None:
        if pipelined(cursor) and postings:
            cursor.execute(_APPEND, [f"{{{','.join(map(str, column))}}}" for column in zip(*postings, strict=True)])
        elif postings:
            line = _COPY.pack
            with cursor.copy(f"COPY index_fresh (batch, {_POSTING}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(_COPY_HEAD + b"".join([line(4, 8, 0, 8, key, 8, t, 8, rid) for key, t, rid in postings]) + _COPY_END)

    def stored(self, cursor: Any, rids: Sequence[int]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = cursor.execute(f"SELECT {', '.join(_ROW)} FROM index_row WHERE rid = ANY(%s)", [list(rids)]).fetchall()
        return found

    def take_out(self, cursor: Any, postings: Sequence[Posting]) -> None:
        self.delete(cursor, "index_posting", ("key", "t", "rid"), postings)
        self.delete(cursor, "index_fresh", ("batch", "key", "t", "rid"), [(0, *posting) for posting in postings])  # without it: all are read

    def merge(self, cursor: Any, rows: int, after: Posting) -> Posting | None:
        last: Posting | None = cursor.execute(_LAST, (*after, rows)).fetchone()
        if last is None:
            return None
        # one statement: what another writer commits meanwhile stays in index_fresh
        cursor.execute(
            "WITH moved AS (DELETE FROM index_fresh WHERE batch = 0 AND (key, t, rid) > (%s, %s, %s) AND (key, t, rid) <= (%s, %s, %s) "
            f"RETURNING {_POSTING}) "
            f"INSERT INTO index_posting ({_POSTING}) SELECT {_POSTING} FROM moved ORDER BY key, t, rid ON CONFLICT DO NOTHING",
            (*after, *last),
        )
        return last


class IndexWriter:
    """The index's side of a commit. dialect: sqlite | postgresql. The caller owns the transaction and the cursor."""

    def __init__(self, dialect: str) -> None:
        self._engine: _Engine = _Sqlite() if dialect == "sqlite" else _Postgres()

    def add(self, cursor: Any, rows: Sequence[IndexRow]) -> None:
        """Entries of resources that the index does not hold yet (each rid once)."""
        engine = self._engine
        postings: list[Posting] = []
        for row in rows:
            postings += row.postings()
        postings.sort(key=_KEY)  # near places of the tree are written one after the other
        engine.append(cursor, postings)
        self._rows(cursor, rows)

    def update(self, cursor: Any, rows: Sequence[IndexRow]) -> None:
        """Entries of new versions (each rid once): what they no longer have is taken out, what is new is put in. Unknown rids are added."""
        if not rows:
            return
        old = self._take(cursor, [row.rid for row in rows])
        new = {posting for row in rows for posting in row.postings()}
        self._engine.take_out(cursor, sorted(old - new))
        self._engine.append(cursor, sorted(new - old))
        self._rows(cursor, rows)

    def remove(self, cursor: Any, rids: Iterable[int]) -> None:
        """Takes deleted resources out of the index."""
        wanted = list(rids)
        if wanted:
            self._engine.take_out(cursor, sorted(self._take(cursor, wanted)))

    def merge_step(self, cursor: Any, rows: int = 5000, after: Posting = START) -> Posting | None:
        """Moves about `rows` postings from `index_fresh` to `index_posting`, in the caller's (short) transaction.

        after: what the former step of the round gave. Gives where to go on, None when the round is done: start the next from `START`.
        """
        return self._engine.merge(cursor, rows, after)

    def _rows(self, cursor: Any, rows: Sequence[IndexRow]) -> None:
        """The rows beside the postings: all keys, identifiers, strings."""
        stored, strings = [], []
        for row in rows:
            e = row.entries
            numbers = msgspec.json.encode(e.identifiers) if e.identifiers else None
            stored.append((row.rid, e.t, int(e.long), row.time, e.updated_key, len(e.posted), e.keys, e.spans, e.amounts, e.texts, numbers))
            strings += [(slot, value, row.rid) for slot, value in e.strings]
        self._engine.insert(cursor, "index_row", _ROW, stored)
        self._engine.insert(cursor, "index_string", _STRING, strings)

    def _take(self, cursor: Any, rids: Sequence[int]) -> set[Posting]:
        """Deletes the rows of these resources but for their postings, which are given back."""
        old: set[Posting] = set()
        strings: list[tuple[int, str, int]] = []
        for rid, t, long, time, updated, posted, keys, _, _, texts, _ in self._engine.stored(cursor, rids):
            old |= {(key | long, t, rid) for key in struct.unpack_from(f"<{posted}q", keys)}
            old.add((updated, time, rid))
            for key, text in msgspec.json.decode(texts) if texts else ():
                strings += [(key, value, rid) for value in {normalised(text)[:LONGEST], plain(text)[:LONGEST], text[:LONGEST]}]
        self._engine.delete(cursor, "index_string", _STRING, strings)
        self._engine.delete(cursor, "index_row", ("rid",), [(rid,) for rid in rids])
        return old
