"""What became of each record of a message, in the order of its rows, read page by page: memory does not grow with the message."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, tuple_

from gateway.errors import Finding
from gateway.record import RecordOutcome
from gateway.store import tables as t
from gateway.store.database import Database

__all__ = ["RowOutcome", "outcomes", "own_findings"]

PAGE = 500
"""Rows that are read at once."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """One record. row: which row of the message, from 0. settled: whether the same content again is certain to change nothing (it has a
    stamp, or is current)."""

    row: int
    outcome: RecordOutcome
    map_version: str
    settled: bool


def outcomes(database: Database, message: int, after: int = -1) -> Iterator[RowOutcome]:
    """The records of all rows behind `after`: those that made a version, with what they wrote, and those that were repeats."""
    v, r, e = t.record_version, t.record, t.event
    own = (
        select(v.c.row, v.c.id, v.c.position, r.c.dataset, r.c.key, v.c.state, v.c.record, v.c.map_version, v.c.stamp, r.c.current, e.c.resources)
        .join(r, r.c.id == v.c.record)
        .join(e, e.c.seq == v.c.seq, isouter=True)
        .where(v.c.message == message)
        .order_by(v.c.row, v.c.id)
    )
    a = t.repeated_row
    again = (
        select(a.c.row, v.c.id, a.c.position, r.c.dataset, r.c.key, v.c.state, v.c.record, v.c.map_version)
        .join(v, v.c.id == a.c.version)
        .join(r, r.c.id == v.c.record)
        .where(a.c.message == message)
        .order_by(a.c.row)
    )
    return heapq.merge(_rows(database, own, v.c.row, v.c.id, after), _rows(database, again, a.c.row, None, after), key=lambda found: found.row)


def counts(database: Database, message: int) -> dict[str, int]:
    """Records of a message by state."""
    v, a = t.record_version, t.repeated_row
    own = select(v.c.state, func.count()).where(v.c.message == message).group_by(v.c.state).order_by(v.c.state)
    again = select(func.count()).where(a.c.message == message)
    with database.engine.connect() as connection:
        found = {state: n for state, n in connection.execute(own)}
        repeats = connection.scalar(again)
    return {**found, "repeat": repeats} if repeats else found


def own_findings(database: Database, message: int, limit: int) -> list[Finding]:
    """Findings of the message as a whole, and of rows that could not be made records; at most `limit`."""
    f = t.finding
    query = select(*_FINDING).where(f.c.message == message, f.c.version.is_(None)).order_by(f.c.id).limit(limit)
    with database.engine.connect() as connection:
        return [Finding(*row) for row in connection.execute(query)]


_FINDING = [t.finding.c[name] for name in ("code", "severity", "text", "target", "locator", "line")]


def _rows(database: Database, query: Select[Any], row: Any, id_: Any, after: int) -> Iterator[RowOutcome]:
    """Goes through a query in pages. id_: the column that orders versions of one row; None where a row stands once."""
    behind = row > after
    while True:
        with database.engine.connect() as connection:
            page = connection.execute(query.where(behind).limit(PAGE)).all()
            found = _findings(connection, [p[1] for p in page])
        for p in page:
            yield _outcome(p, tuple(found.get(p[1], ())))
        if len(page) < PAGE:
            return
        last = page[-1]
        behind = row > last[0] if id_ is None else and_(row >= last[0], tuple_(row, id_) > tuple_(last[0], last[1]))


def _findings(connection: Connection, versions: Sequence[int]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    f = t.finding
    for version, *said in connection.execute(select(f.c.version, *_FINDING).where(f.c.version.in_(versions)).order_by(f.c.id)):
        found.setdefault(version, []).append(Finding(*said))
    return found


def _outcome(found: Sequence[Any], findings: tuple[Finding, ...]) -> RowOutcome:
    row, version, position, dataset, key, state, record, map_version, *written = found
    outcome = RecordOutcome(position, dataset, tuple(key.split("\x1f")), state, findings, record=record)
    if not written:
        outcome.state = "repeat"
        return RowOutcome(row, outcome, map_version, True)
    stamp, current, resources = written
    outcome.resources = tuple((type_, id_, n) for type_, id_, n in json.loads(resources or "[]"))
    return RowOutcome(row, outcome, map_version, bool(stamp) or current == version or state in ("held", "refused"))
