"""Reads of resources: current, one version, history (https://hl7.org/fhir/R4/http.html#read, #vread, #history)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, union_all

from gateway.store import tables as t
from gateway.store.messages import moment
from gateway.store.scope import Scope

__all__ = ["StoredResource", "counts", "history", "read", "vread"]


@dataclass(frozen=True, slots=True)
class StoredResource:
    """One version of a resource. content: its JSON bytes, with meta.versionId and meta.lastUpdated."""

    type: str
    id: str
    version: int
    time: datetime
    deleted: bool
    content: bytes


def read(connection: Connection, type_: str, id_: str, scope: Scope) -> StoredResource | None:
    """The current version (a tombstone when `deleted`), or None when there never was one."""
    assert scope is not None
    r = t.resource
    row = connection.execute(select(r.c.version, r.c.time, r.c.deleted, r.c.content).where(r.c.id == id_, r.c.type == type_)).first()
    return None if row is None else StoredResource(type_, id_, row[0], moment(row[1]), bool(row[2]), bytes(row[3]))


def history(connection: Connection, type_: str, id_: str, scope: Scope) -> list[StoredResource]:
    """Every version, newest first; empty when there never was one."""
    assert scope is not None
    r, h = t.resource, t.resource_history
    current = select(r.c.version, r.c.time, r.c.deleted, r.c.content).where(r.c.id == id_, r.c.type == type_)
    past = select(h.c.version, h.c.time, h.c.deleted, h.c.content).join(r, r.c.rid == h.c.rid).where(r.c.id == id_, r.c.type == type_)
    rows = connection.execute(union_all(current, past)).all()
    versions = [StoredResource(type_, id_, v, moment(time), bool(deleted), bytes(content)) for v, time, deleted, content in rows]
    return sorted(versions, key=lambda s: -s.version)


def vread(connection: Connection, type_: str, id_: str, version: int, scope: Scope) -> StoredResource | None:
    """One version, or None."""
    return next((v for v in history(connection, type_, id_, scope) if v.version == version), None)


def counts(connection: Connection, scope: Scope) -> dict[str, int]:
    """Current resources per type, deleted ones left out."""
    assert scope is not None
    from sqlalchemy import func

    r = t.resource
    query = select(r.c.type, func.count()).where(r.c.deleted.is_(False)).group_by(r.c.type).order_by(r.c.type)
    return {type_: n for type_, n in connection.execute(query)}
