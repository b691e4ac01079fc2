"""Writes by API: answers that a repeated request gets again, and superseded versions in the order of their commits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the table and the index."""
    op.create_table(
        "request_log",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.PrimaryKeyConstraint("client", "key", name=op.f("pk_request_log")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_request_log_time", "request_log", ["time"])
    op.create_index("ix_resource_history_seq", "resource_history", ["seq"])


def downgrade() -> None:
    """Drops them."""
    op.drop_index("ix_resource_history_seq", "resource_history")
    op.drop_table("request_log")
