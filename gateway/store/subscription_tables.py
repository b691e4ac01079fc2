"""Tables of Subscriptions (docs/subscriptions.md). Times are µs since the epoch (UTC), as in gateway/store/tables.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from gateway.store.metadata import metadata

Id = BigInteger().with_variant(Integer(), "sqlite")

subscription = Table(
    "subscription",
    metadata,
    Column("id", Text, primary_key=True),  # of the Subscription resource
    Column("version", Integer, nullable=False),  # of the resource, as far as it was taken up
    Column("state", Text, nullable=False),
    Column("caller", Text, nullable=False),  # client that asked for it: whose scope the receiver reads in
    Column("cursor", Id, nullable=False),  # commit sequence up to which the timeline was looked through
    Column("number", Id, nullable=False),  # last event number that was given
    Column("sent", Id, nullable=False),  # last event number that the receiver has
    Column("heartbeat", Id),  # µs of silence after which it is told that all is well
    Column("ends", Id),
    Column("spoken", Id),  # when the receiver last answered 2xx
    Column("worker", Text),
    Column("lease", Id),  # until when
    Column("due", Id, nullable=False),
    Column("attempts", Integer, nullable=False),  # in a row that failed
    Column("failing", Id),  # since when
    Column("error", Text),
    CheckConstraint("state IN ('requested','active','error','off')", name="subscription_state"),
    CheckConstraint("(worker IS NULL) = (lease IS NULL)", name="subscription_lease"),
    CheckConstraint("sent <= number", name="subscription_sent"),
    CheckConstraint("(failing IS NULL) = (attempts = 0)", name="subscription_failing"),
    sqlite_with_rowid=False,
)

subscription_event = Table(
    "subscription_event",
    metadata,
    Column("subscription", Text, primary_key=True),
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("seq", Id, nullable=False),  # of the event on the timeline
    Column("time", Id, nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("how", Text, nullable=False),
    CheckConstraint("how IN ('create','update','delete')", name="subscription_event_how"),
    Index("ix_subscription_event_time", "time"),
    sqlite_with_rowid=False,
)
