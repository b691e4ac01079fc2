"""Subscriptions: where each stands in the feed, what it was told, and the events it was given numbers for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "subscription",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("cursor", Id, nullable=False),
        sa.Column("number", Id, nullable=False),
        sa.Column("sent", Id, nullable=False),
        sa.Column("heartbeat", Id, nullable=True),
        sa.Column("ends", Id, nullable=True),
        sa.Column("spoken", Id, nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease", Id, nullable=True),
        sa.Column("due", Id, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failing", Id, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('requested','active','error','off')", name="subscription_state"),
        sa.CheckConstraint("(worker IS NULL) = (lease IS NULL)", name="subscription_lease"),
        sa.CheckConstraint("sent <= number", name="subscription_sent"),
        sa.CheckConstraint("(failing IS NULL) = (attempts = 0)", name="subscription_failing"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subscription_event",
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column("number", Id, autoincrement=False, nullable=False),
        sa.Column("seq", Id, nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.CheckConstraint("how IN ('create','update','delete')", name="subscription_event_how"),
        sa.PrimaryKeyConstraint("subscription", "number", name=op.f("pk_subscription_event")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_subscription_event_time", "subscription_event", ["time"])


def downgrade() -> None:
    """Drops them."""
    op.drop_table("subscription_event")
    op.drop_table("subscription")
