"""What waits for a target is found by what waits, too: each round of deliveries asks for it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the index."""
    op.create_index("ix_delivery_wait_item", "delivery_wait", ["destination", "id"])


def downgrade() -> None:
    """Drops it."""
    op.drop_index("ix_delivery_wait_item", "delivery_wait")
