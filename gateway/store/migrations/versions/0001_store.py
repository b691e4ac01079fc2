"""The store: messages, records, contributions, resources, residents, holds, events, deliveries."""

from __future__ import annotations

from alembic import op

import gateway.store.index.tables as index_tables
from gateway.store import tables
from gateway.store.metadata import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates every table of the first version."""
    assert tables and index_tables
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drops every table."""
    metadata.drop_all(op.get_bind())
