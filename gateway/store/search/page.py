"""What a search answers: resources as they are stored, and what was made of the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from gateway.store.index import drive
from gateway.store.scope import Scope

__all__ = ["Compartment", "Found", "Page", "current", "rids_of"]


class Found(NamedTuple):
    """One resource of a page: its current version."""

    rid: int
    type: str
    id: str
    version: int
    time: int
    content: bytes


class Compartment(NamedTuple):
    """Whose compartment a search is kept to: `Patient/p1/Observation` is Compartment("Patient", "p1")."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page. total: how many match, None when that was not counted. next: cursor of the following page, None at the end.

    ignored: parameters, sort keys and includes that R4 does not know for the type (`handling=strict` makes them an error at the edge).
    included: what `_include` and `_revinclude` added, each once and none that is in `rows`. applied: the pairs of the query that were
    understood, for the self link.
    """

    rows: list[Found]
    total: int | None
    next: str | None
    ignored: tuple[str, ...] = ()
    included: tuple[Found, ...] = ()
    applied: tuple[tuple[str, str], ...] = ()


def current(connection: Connection, scope: Scope, rids: Sequence[int]) -> list[Found]:
    """Current versions, in the order given; what was deleted meanwhile is left out."""
    held: dict[int, Found] = {}
    for start in range(0, len(rids), drive.CHUNK):
        part = rids[start : start + drive.CHUNK]
        statement = f"SELECT rid, type, id, version, time, content FROM resource WHERE rid IN ({drive.marks(part)}) AND NOT deleted"
        held |= {row[0]: Found(row[0], row[1], row[2], row[3], row[4], bytes(row[5])) for row in drive.run(connection, statement, part)}
    return [held[rid] for rid in rids if rid in held]


def rids_of(connection: Connection, scope: Scope, type_: str, ids: Sequence[str]) -> set[int]:
    """Rids of the resources of a type with these ids."""
    found: set[int] = set()
    for start in range(0, len(ids), drive.CHUNK):
        part = ids[start : start + drive.CHUNK]
        statement = f"SELECT rid FROM resource WHERE type = %s AND id IN ({drive.marks(part)}) AND NOT deleted"
        found |= {row[0] for row in drive.run(connection, statement, [type_, *part])}
    return found
