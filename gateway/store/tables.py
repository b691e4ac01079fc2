"""Tables of the store. Times are µs since the epoch (UTC); `seq` is the commit sequence (gateway/store/sequence.py).

Both engines share the schema. SQLite keeps composite keys without rowid, so that what is read together lies together.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, Sequence, Table, Text, UniqueConstraint, text

from gateway.store.metadata import metadata

Id = BigInteger().with_variant(Integer(), "sqlite")

numbers = Sequence("yifang_number", metadata=metadata)
"""PostgreSQL only: where all numeric ids come from. SQLite keeps them in `counter`."""

counter = Table("counter", metadata, Column("name", Text, primary_key=True), Column("value", Id, nullable=False))

setting = Table("setting", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False))

message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("charset", Text, nullable=False),
    Column("digest", Text, nullable=False),  # sha-256 of the content, hex
    Column("size", Id, nullable=False),
    Column("received", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("rows", Integer, nullable=False),  # rows done; while `processing`, where to go on
    Column("fresh", Boolean, nullable=False),  # every row made a version of its own: the whole message can be answered as a repeat
    Column("repeats", Integer, nullable=False),
    Column("reason", Text),  # the finding a protocol answer quotes, JSON
    CheckConstraint("state IN ('processing','mapped','held','partly','refused','failed','stored')", name="message_state"),
    Index("ix_message_digest", "digest"),
    Index("ix_message_unfinished", "id", sqlite_where=text("state = 'processing'"), postgresql_where=text("state = 'processing'")),
)

message_chunk = Table(
    "message_chunk",
    metadata,
    Column("message", Id, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

record = Table(
    "record",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("authority", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("key", Text, nullable=False),  # parts joined by U+001F
    Column("current", Id),  # record_version.id; NULL while every version is held
    Column("rank", Text, nullable=False),  # order of the current version: stamp|tie; "" while there is none
    Column("versions", Integer, nullable=False),
    Column("person", Id),  # source_patient of the current version
    UniqueConstraint("key", "dataset", "authority"),
)

record_version = Table(
    "record_version",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("record", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("message", Id, nullable=False),
    Column("source", Text, nullable=False),
    Column("row", Integer, nullable=False),  # which row of the message, from 0
    Column("position", Text, nullable=False),
    Column("stamp", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("rank", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("map_version", Text, nullable=False),
    Column("seq", Id, nullable=False),
    CheckConstraint("state IN ('written','unchanged','older','held','refused')", name="record_version_state"),
    UniqueConstraint("record", "number"),
    Index("ix_record_version_message_row", "message", "row"),
)

repeated_row = Table(
    "repeated_row",
    metadata,
    Column("message", Id, primary_key=True, autoincrement=False),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("version", Id, nullable=False),  # record_version.id that this row of the message only said again
    Column("position", Text, nullable=False),
    sqlite_with_rowid=False,
)

contribution = Table(
    "contribution",
    metadata,
    Column("resource", Id, primary_key=True, autoincrement=False),
    Column("covered", Boolean, primary_key=True),  # a newer contribution of the same authority says the same (gateway/store/cover.py)
    Column("record", Id, primary_key=True, autoincrement=False),
    Column("person", Id, primary_key=True, autoincrement=False),  # source_patient of a Patient contribution, else 0
    Column("part", Text, primary_key=True),  # rank of the version in delta profiles (each is kept), "" in snapshots
    Column("rank", Text, nullable=False),
    Column("compose", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("content", LargeBinary),  # NULL: the resource's own current content (sole contribution of compose `one`)
    Column("patients", Text),  # JSON [[path, source_patient], ...]
    Column("cleared", Text),  # JSON [path, ...]
    Index("ix_contribution_record", "record"),
    sqlite_with_rowid=False,
)

resource = Table(
    "resource",
    metadata,
    Column("rid", Id, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("seq", Id, nullable=False),
    Column("time", Id, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("resident", Id),
    Column("custodian", Text, nullable=False),
    Column("record", Id),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("id", "type"),
    Index("ix_resource_type_seq", "type", "seq"),
)

resource_history = Table(
    "resource_history",
    metadata,
    Column("rid", Id, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("seq", Id, nullable=False),
    Column("time", Id, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("record", Id),
    Column("content", LargeBinary, nullable=False),
    Index("ix_resource_history_seq", "seq"),
    sqlite_with_rowid=False,
)

source_patient = Table(
    "source_patient",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("claim", Text, nullable=False, unique=True),  # digest of numbers and demographics
    Column("numbers", Text, nullable=False),  # JSON [[system, value, strong], ...]
    Column("name", Text, nullable=False),
    Column("sex", Text, nullable=False),
    Column("birth_date", Text, nullable=False),
    Column("origin", Id, nullable=False),  # Patient (resource.rid) it was first given
    Column("patient", Id, nullable=False),  # Patient it stands for now
    Column("pin", Id),  # Patient a person decided it belongs to
    Index("ix_source_patient_patient", "patient"),
    Index("ix_source_patient_origin", "origin"),
)

patient_number = Table(
    "patient_number",
    metadata,
    Column("value", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("source_patient", Id, primary_key=True, autoincrement=False),
    Column("strong", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

patient_link = Table(
    "patient_link",
    metadata,
    Column("source_patient", Id, primary_key=True, autoincrement=False),
    Column("resource", Id, primary_key=True, autoincrement=False),
    Column("record", Id, primary_key=True, autoincrement=False),
    Column("path", Text, primary_key=True),
    sqlite_with_rowid=False,
)

hold = Table(
    "hold",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("version", Id, nullable=False),  # record_version
    Column("record", Id, nullable=False),
    Column("code", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("sides", Text, nullable=False),  # JSON: what is there, what came
    Column("opened", Id, nullable=False),
    Column("decided", Id),
    Column("decided_by", Text),
    Column("reason", Text),
    Column("part", Text, nullable=False, server_default=""),  # "": the whole record; else `Type/id` of one result beyond possible limits
    CheckConstraint("state IN ('open','released','rejected','resolved')", name="hold_state"),
    CheckConstraint("(state = 'open') = (decided IS NULL)", name="hold_decided"),
    Index("ix_hold_part", "record", sqlite_where=text("part <> ''"), postgresql_where=text("part <> ''")),
    Index("uq_hold_open", "version", "part", unique=True, sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
)

finding = Table(
    "finding",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("message", Id),
    Column("version", Id),
    Column("code", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("locator", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("time", Id, nullable=False),
    Index("ix_finding_version", "version"),
    Index("ix_finding_message", "message"),
    Index("ix_finding_source", "source"),
)

event = Table(
    "event",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("time", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("message", Id),
    Column("record", Id),
    Column("version", Id),
    Column("actor", Text, nullable=False),
    Column("resources", Text, nullable=False),  # JSON [[type, id, version], ...]
    Index("ix_event_record", "record"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("destination", Text, nullable=False),
    Column("lane", Text, nullable=False),  # rid of the Patient, or "shared"
    Column("seq", Id, nullable=False),
    Column("record", Id),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("items", Text, nullable=False),  # JSON [[type, id], ...]
    Column("error", Text),
    Column("made", Id, nullable=False),
    Column("done", Id),
    CheckConstraint("state IN ('waiting','done','blocked')", name="delivery_state"),
    CheckConstraint("(state = 'done') = (done IS NOT NULL)", name="delivery_done"),
    Index("ix_delivery_owed", "destination", "lane", "id", sqlite_where=text("state <> 'done'"), postgresql_where=text("state <> 'done'")),
)

delivery_lane = Table(
    "delivery_lane",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("state", Text, nullable=False),  # idle: nothing owed · waiting · leased · blocked: a person must act
    Column("worker", Text),
    Column("lease", Id),  # until when
    Column("due", Id, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    CheckConstraint("state IN ('idle','waiting','leased','blocked')", name="delivery_lane_state"),
    CheckConstraint("(state = 'leased') = (lease IS NOT NULL AND worker IS NOT NULL)", name="delivery_lane_lease"),
    Index(
        "ix_delivery_lane_due",
        "destination",
        "due",
        sqlite_where=text("state IN ('waiting','leased')"),
        postgresql_where=text("state IN ('waiting','leased')"),
    ),
    sqlite_with_rowid=False,
)

delivered = Table(
    "delivered",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),  # ours, as the destination has it
    Column("etag", Text),  # the destination's
    sqlite_with_rowid=False,
)

destination_state = Table(
    "destination_state",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("reason", Text),
    Column("since", Id, nullable=False),
)

delivery_fault = Table(
    "delivery_fault",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),  # ours, that was refused; a newer one is tried again
    Column("kind", Text, nullable=False),  # refused: the server's 400/422 · conflict: someone else wrote there
    Column("error", Text, nullable=False),
    Column("time", Id, nullable=False),
    CheckConstraint("kind IN ('refused','conflict')", name="delivery_fault_kind"),
    sqlite_with_rowid=False,
)

delivery_wait = Table(
    "delivery_wait",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("target_type", Text, primary_key=True),
    Column("target_id", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("sent", Boolean, nullable=False),  # went up with Reference.identifier (true) or not at all (false) until the target arrives
    Index("ix_delivery_wait_item", "destination", "id"),
    sqlite_with_rowid=False,
)

checkpoint = Table(
    "checkpoint", metadata, Column("source", Text, primary_key=True), Column("value", Text, nullable=False), Column("time", Id, nullable=False)
)

map_set = Table(
    "map_set",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
    Column("snapshot", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("activated", Id, nullable=False),
    Index("uq_map_set_active", "active", unique=True, sqlite_where=text("active"), postgresql_where=text("active")),
)

source_status = Table(
    "source_status",
    metadata,
    Column("source", Text, primary_key=True),
    Column("last_word", Id),
    Column("last_message", Id),
    Column("silent_since", Id),
)

quality_control = Table(
    "quality_control",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("version", Id, nullable=False, unique=True),  # record_version
    Column("source", Text, nullable=False),
    Column("message", Id, nullable=False),
    Column("time", Id, nullable=False),
    Column("fields", Text, nullable=False),
)

request_log = Table(
    "request_log",
    metadata,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),  # Idempotency-Key of the client's request
    Column("digest", Text, nullable=False),  # of method, address and body
    Column("answer", Text, nullable=False),  # JSON [[type, id, version, time, how], ...]: what the request wrote
    Column("time", Id, nullable=False),
    Index("ix_request_log_time", "time"),
    sqlite_with_rowid=False,
)
