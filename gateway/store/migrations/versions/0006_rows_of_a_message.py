"""Rows of a message: those that only said again what was known, and all of them in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the table; the index by message gets the row."""
    op.create_table(
        "repeated_row",
        sa.Column("message", Id, autoincrement=False, nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", Id, nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message", "row", name=op.f("pk_repeated_row")),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_record_version_message", "record_version")
    op.create_index("ix_record_version_message_row", "record_version", ["message", "row"])


def downgrade() -> None:
    """Back to the index by message alone; which rows were repeats is forgotten."""
    op.drop_index("ix_record_version_message_row", "record_version")
    op.create_index("ix_record_version_message", "record_version", ["message"])
    op.drop_table("repeated_row")
