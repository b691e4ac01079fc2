"""The store: messages, records, contributions, resources, residents, holds, events, deliveries, search index.

Written out, so that later changes of the tables in the code do not change what this revision made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Creates every table of the first version."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence("yifang_number")))
    for part in (_settings, _messages, _records, _residents, _resources, _index, _deliveries):
        part()


def downgrade() -> None:
    """Drops every table."""
    for table in TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.DropSequence(sa.Sequence("yifang_number")))


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("charset", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", Id, nullable=False),
        sa.Column("received", Id, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("fresh", sa.Boolean(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('processing','mapped','held','partly','refused','failed','stored')", name="message_state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index("ix_message_digest", "message", ["digest"], unique=False)
    op.create_index(
        "ix_message_unfinished",
        "message",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'processing'"),
        postgresql_where=sa.text("state = 'processing'"),
    )
    op.create_table(
        "message_chunk",
        sa.Column("message", Id, autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message", "n", name=op.f("pk_message_chunk")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "source_status",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("last_word", Id, nullable=True),
        sa.Column("last_message", Id, nullable=True),
        sa.Column("silent_since", Id, nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_status")),
    )
    op.create_table(
        "finding",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message", Id, nullable=True),
        sa.Column("version", Id, nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
    )
    op.create_index("ix_finding_message", "finding", ["message"], unique=False)
    op.create_index("ix_finding_source", "finding", ["source"], unique=False)
    op.create_index("ix_finding_version", "finding", ["version"], unique=False)
    op.create_table(
        "event",
        sa.Column("seq", Id, autoincrement=False, nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message", Id, nullable=True),
        sa.Column("record", Id, nullable=True),
        sa.Column("version", Id, nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
    )
    op.create_index("ix_event_record", "event", ["record"], unique=False)
    op.create_table(
        "quality_control",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("version", Id, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message", Id, nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_control")),
        sa.UniqueConstraint("version", name=op.f("uq_quality_control_version")),
    )


def _records() -> None:
    op.create_table(
        "record",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("current", Id, nullable=True),
        sa.Column("rank", sa.Text(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("person", Id, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record")),
        sa.UniqueConstraint("key", "dataset", "authority", name=op.f("uq_record_key_dataset_authority")),
    )
    op.create_table(
        "record_version",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("record", Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("message", Id, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("stamp", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("rank", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("map_version", sa.Text(), nullable=False),
        sa.Column("seq", Id, nullable=False),
        sa.CheckConstraint("state IN ('written','unchanged','older','held','refused')", name="record_version_state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_version")),
        sa.UniqueConstraint("record", "number", name=op.f("uq_record_version_record_number")),
    )
    op.create_index("ix_record_version_message", "record_version", ["message"], unique=False)
    op.create_table(
        "contribution",
        sa.Column("resource", Id, autoincrement=False, nullable=False),
        sa.Column("covered", sa.Boolean(), nullable=False),
        sa.Column("record", Id, autoincrement=False, nullable=False),
        sa.Column("person", Id, autoincrement=False, nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("rank", sa.Text(), nullable=False),
        sa.Column("compose", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("patients", sa.Text(), nullable=True),
        sa.Column("cleared", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("resource", "covered", "record", "person", "part", name=op.f("pk_contribution")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_contribution_record", "contribution", ["record"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("version", Id, nullable=False),
        sa.Column("record", Id, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sides", sa.Text(), nullable=False),
        sa.Column("opened", Id, nullable=False),
        sa.Column("decided", Id, nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("part", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(state = 'open') = (decided IS NULL)", name="hold_decided"),
        sa.CheckConstraint("state IN ('open','released','rejected','resolved')", name="hold_state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index("ix_hold_part", "hold", ["record"], unique=False, sqlite_where=sa.text("part <> ''"), postgresql_where=sa.text("part <> ''"))
    op.create_index(
        "uq_hold_open", "hold", ["version", "part"], unique=True, sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'")
    )


def _residents() -> None:
    op.create_table(
        "source_patient",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.Text(), nullable=False),
        sa.Column("origin", Id, nullable=False),
        sa.Column("patient", Id, nullable=False),
        sa.Column("pin", Id, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_patient")),
        sa.UniqueConstraint("claim", name=op.f("uq_source_patient_claim")),
    )
    op.create_index("ix_source_patient_origin", "source_patient", ["origin"], unique=False)
    op.create_index("ix_source_patient_patient", "source_patient", ["patient"], unique=False)
    op.create_table(
        "patient_number",
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("source_patient", Id, autoincrement=False, nullable=False),
        sa.Column("strong", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("value", "system", "source_patient", name=op.f("pk_patient_number")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient_link",
        sa.Column("source_patient", Id, autoincrement=False, nullable=False),
        sa.Column("resource", Id, autoincrement=False, nullable=False),
        sa.Column("record", Id, autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source_patient", "resource", "record", "path", name=op.f("pk_patient_link")),
        sqlite_with_rowid=False,
    )


def _resources() -> None:
    op.create_table(
        "resource",
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("seq", Id, nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("resident", Id, nullable=True),
        sa.Column("custodian", sa.Text(), nullable=False),
        sa.Column("record", Id, nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("rid", name=op.f("pk_resource")),
        sa.UniqueConstraint("id", "type", name=op.f("uq_resource_id_type")),
    )
    op.create_index("ix_resource_type_seq", "resource", ["type", "seq"], unique=False)
    op.create_table(
        "resource_history",
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", Id, nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("record", Id, nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("rid", "version", name=op.f("pk_resource_history")),
        sqlite_with_rowid=False,
    )


def _deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("seq", Id, nullable=False),
        sa.Column("record", Id, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("made", Id, nullable=False),
        sa.Column("done", Id, nullable=True),
        sa.CheckConstraint("(state = 'done') = (done IS NOT NULL)", name="delivery_done"),
        sa.CheckConstraint("state IN ('waiting','done','blocked')", name="delivery_state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index(
        "ix_delivery_owed",
        "delivery",
        ["destination", "lane", "id"],
        unique=False,
        sqlite_where=sa.text("state <> 'done'"),
        postgresql_where=sa.text("state <> 'done'"),
    )
    op.create_table(
        "delivery_lane",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease", Id, nullable=True),
        sa.Column("due", Id, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'leased') = (lease IS NOT NULL AND worker IS NOT NULL)", name="delivery_lane_lease"),
        sa.CheckConstraint("state IN ('idle','waiting','leased','blocked')", name="delivery_lane_state"),
        sa.PrimaryKeyConstraint("destination", "lane", name=op.f("pk_delivery_lane")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_delivery_lane_due",
        "delivery_lane",
        ["destination", "due"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting','leased')"),
        postgresql_where=sa.text("state IN ('waiting','leased')"),
    )
    op.create_table(
        "delivered",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("destination", "type", "id", name=op.f("pk_delivered")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "destination_state",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("since", Id, nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_destination_state")),
    )
    op.create_table(
        "delivery_fault",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.CheckConstraint("kind IN ('refused','conflict')", name="delivery_fault_kind"),
        sa.PrimaryKeyConstraint("destination", "type", "id", name=op.f("pk_delivery_fault")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "delivery_wait",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("target_type", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("destination", "target_type", "target_id", "type", "id", name=op.f("pk_delivery_wait")),
        sqlite_with_rowid=False,
    )


def _settings() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", Id, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_table(
        "map_set",
        sa.Column("id", Id, autoincrement=False, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("activated", Id, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_map_set")),
    )
    op.create_index("uq_map_set_active", "map_set", ["active"], unique=True, sqlite_where=sa.text("active"), postgresql_where=sa.text("active"))


def _index() -> None:
    op.create_table(
        "identifier_key",
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.Column("system", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "rid", "system", name=op.f("pk_identifier_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_fresh",
        sa.Column("batch", Id, autoincrement=False, nullable=False),
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.Column("t", Id, autoincrement=False, nullable=False),
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("batch", "key", "t", "rid", name=op.f("pk_index_fresh")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_posting",
        sa.Column("key", Id, autoincrement=False, nullable=False),
        sa.Column("t", Id, autoincrement=False, nullable=False),
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "t", "rid", name=op.f("pk_index_posting")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "index_row",
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.Column("t", Id, nullable=False),
        sa.Column("long", sa.Integer(), nullable=False),
        sa.Column("time", Id, nullable=False),
        sa.Column("updated", Id, nullable=False),
        sa.Column("posted", sa.Integer(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("spans", sa.LargeBinary(), nullable=False),
        sa.Column("amounts", sa.LargeBinary(), nullable=False),
        sa.Column("texts", sa.LargeBinary(), nullable=True),
        sa.Column("identifiers", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("rid", name=op.f("pk_index_row")),
    )
    op.create_table(
        "index_string",
        sa.Column("slot", Id, autoincrement=False, nullable=False),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("rid", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("slot", "value", "rid", name=op.f("pk_index_string")),
        sqlite_with_rowid=False,
    )


TABLES = (
    "message",
    "message_chunk",
    "checkpoint",
    "source_status",
    "finding",
    "event",
    "quality_control",
    "record",
    "record_version",
    "contribution",
    "hold",
    "source_patient",
    "patient_number",
    "patient_link",
    "resource",
    "resource_history",
    "delivery",
    "delivery_lane",
    "delivered",
    "destination_state",
    "delivery_fault",
    "delivery_wait",
    "counter",
    "setting",
    "map_set",
    "identifier_key",
    "index_fresh",
    "index_posting",
    "index_row",
    "index_string",
)
