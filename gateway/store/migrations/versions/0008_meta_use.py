"""Profiles, tags and security labels in use, so that $meta of a type need not read every resource."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the table; it is filled when it is first asked for."""
    op.create_table(
        "meta_use",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("rid", Id, nullable=False),
        sa.PrimaryKeyConstraint("type", "kind", "system", "code", name=op.f("pk_meta_use")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drops it."""
    op.drop_table("meta_use")
