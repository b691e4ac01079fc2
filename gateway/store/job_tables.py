"""Tables of asynchronous requests (gateway/store/jobs.py). Times are µs since the epoch (UTC), as in gateway/store/tables.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from gateway.store.metadata import metadata

Id = BigInteger().with_variant(Integer(), "sqlite")

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),  # random: part of the address that tells how it stands
    Column("kind", Text, nullable=False),  # request: an interaction or operation
    Column("client", Text, nullable=False),  # who asked, and alone may see it
    Column("state", Text, nullable=False),
    Column("progress", Text, nullable=False),  # for X-Progress; "" while nothing is known
    Column("begun", Id, nullable=False),
    Column("lease", Id),  # until when the process that works at it has said that it does
    Column("done", Id),
    Column("expires", Id, nullable=False),  # then it is forgotten, with what came of it
    CheckConstraint("state IN ('running','done')", name="job_state"),
    CheckConstraint("(state = 'running') = (lease IS NOT NULL)", name="job_lease"),
    CheckConstraint("(state = 'done') = (done IS NOT NULL)", name="job_done"),
    Index("ix_job_client", "client", "begun"),
    Index("ix_job_expires", "expires"),
    sqlite_with_rowid=False,
)

job_part = Table(
    "job_part",
    metadata,
    Column("job", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # of one output; "" for the answer itself
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
