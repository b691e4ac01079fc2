"""Asynchronous requests: what is in work for whom, and what came of it until it is fetched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "job",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("begun", Id, nullable=False),
        sa.Column("lease", Id, nullable=True),
        sa.Column("done", Id, nullable=True),
        sa.Column("expires", Id, nullable=False),
        sa.CheckConstraint("state IN ('running','done')", name="job_state"),
        sa.CheckConstraint("(state = 'running') = (lease IS NOT NULL)", name="job_lease"),
        sa.CheckConstraint("(state = 'done') = (done IS NOT NULL)", name="job_done"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_client", "job", ["client", "begun"])
    op.create_index("ix_job_expires", "job", ["expires"])
    op.create_table(
        "job_part",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", "name", "n", name=op.f("pk_job_part")),
    )


def downgrade() -> None:
    """Drops them."""
    op.drop_table("job_part")
    op.drop_table("job")
