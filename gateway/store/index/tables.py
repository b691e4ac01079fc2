"""Tables of the search index (docs/contracts.md, "Store").

A posting is (key, t, rid): a 64-bit key of one searchable value, the resource's clinical time in µs since 1970, the resource. Postings are
written to `index_fresh`, which stays small, and moved to `index_posting` in key order in small steps: random inserts into one big
tree are what grows with size. On SQLite `batch` numbers the commits (or a few small ones together), so that new postings lie at the
end of the tree and a commit writes few pages; a reader looks into each batch. On PostgreSQL it is always 0.
`index_row` holds all keys, times, quantities and texts of a resource; it filters, and it says what an update has to take out.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from gateway.store.metadata import metadata

Id = BigInteger().with_variant(Integer(), "sqlite")
Exact = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared by its bytes, so that a prefix is a range."""


def _postings(name: str, *first: Column[int]) -> Table:
    return Table(
        name,
        metadata,
        *first,
        Column("key", Id, primary_key=True, autoincrement=False),
        Column("t", Id, primary_key=True, autoincrement=False),
        Column("rid", Id, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


posting = _postings("index_posting")
fresh = _postings("index_fresh", Column("batch", Id, primary_key=True, autoincrement=False))

row = Table(
    "index_row",
    metadata,
    Column("rid", Id, primary_key=True, autoincrement=False),
    Column("t", Id, nullable=False),  # clinical time that its postings carry
    Column("long", Integer, nullable=False),  # 1: the date that gives t covers more than a day, and its postings have odd keys
    Column("time", Id, nullable=False),  # when this version was written: the order of _lastUpdated
    Column("updated", Id, nullable=False),  # key of its _lastUpdated posting
    Column("posted", Integer, nullable=False),  # how many keys, from the first, have postings
    Column("keys", LargeBinary, nullable=False),  # 8 bytes each, little-endian
    Column("spans", LargeBinary, nullable=False),  # (key, first, last) 24 bytes each: dates
    Column("amounts", LargeBinary, nullable=False),  # (key, low, high) 24 bytes each: quantities and numbers
    Column("texts", LargeBinary),  # JSON [[key, text], ...]: strings and uris as they are
    Column("identifiers", LargeBinary),  # JSON [[key, system, value], ...]: numbers, found by postings of (type, value)
)

string = Table(
    "index_string",
    metadata,
    Column("slot", Id, primary_key=True, autoincrement=False),
    Column("value", Exact, primary_key=True),  # normalised
    Column("rid", Id, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
