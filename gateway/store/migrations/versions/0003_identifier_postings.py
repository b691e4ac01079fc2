"""Numbers of identifiers are postings like every other selective value: a table of their own grew at random places."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

from gateway.store.index.tables import Exact, Id

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes postings of the table's rows and drops it."""
    op.execute(
        "INSERT INTO index_posting (key, t, rid) SELECT DISTINCT i.key | r.long, r.t, i.rid FROM identifier_key i JOIN index_row r ON r.rid = i.rid "
        "WHERE true ON CONFLICT DO NOTHING"
    )
    op.drop_table("identifier_key")


def downgrade() -> None:
    """Fills the table from what each resource's index row says; the postings stay, they only filter more."""
    op.create_table(
        "identifier_key",
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.Column("system", Exact, nullable=False),
        sa.Column("value", Exact, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "rid", "system", name=op.f("pk_identifier_key")),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT r.rid, r.type, i.identifiers FROM index_row i JOIN resource r ON r.rid = i.rid WHERE identifiers IS NOT NULL")
    )
    for rid, type_, said in rows.all():
        for key, system, value in {(k, s[:500]): (k, s[:500], v) for k, s, v in msgspec.json.decode(bytes(said))}.values():
            row = {"key": key, "rid": rid, "system": system, "value": value, "type": type_}
            connection.execute(sa.text("INSERT INTO identifier_key VALUES (:key, :rid, :system, :value, :type)"), row)
