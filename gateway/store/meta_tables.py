"""Table of the profiles, tags and security labels in use (gateway/store/metas.py)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from gateway.store.metadata import metadata

Id = BigInteger().with_variant(Integer(), "sqlite")

meta_use = Table(
    "meta_use",
    metadata,
    Column("type", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # profile, tag, security
    Column("system", Text, primary_key=True),  # "" when there is none
    Column("code", Text, primary_key=True),  # a profile's URL, else the code
    Column("rid", Id, nullable=False),  # the last resource that was seen with it; 0: none carries it any more
    sqlite_with_rowid=False,
)
