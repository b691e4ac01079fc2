"""The active map set: a row of the database that every process follows."""

from __future__ import annotations

from sqlalchemy import exists, func, or_, select

from gateway.store.database import Database
from gateway.store.tables import finding, hold, map_set, record, record_version

__all__ = ["active", "untranslated"]


def active(database: Database) -> bytes | None:
    """Snapshot of the active set; None before the first start."""
    with database.engine.connect() as connection:
        found = connection.scalar(select(map_set.c.snapshot).where(map_set.c.active))
    return None if found is None else bytes(found)


def untranslated(database: Database, codes: tuple[str, ...] = ("untranslated-code", "unknown-code")) -> list[dict[str, str | int]]:
    """Findings about codes on current record versions, and on those that wait for a person: dataset, source column, message, times;
    most frequent first."""
    f, v, r = finding, record_version, record
    times = func.count().label("times")
    query = (
        select(r.c.dataset, f.c.locator, f.c.text, times)
        .select_from(f)
        .join(v, v.c.id == f.c.version)
        .join(r, r.c.id == v.c.record)
        .where(f.c.code.in_(codes), or_(r.c.current == v.c.id, exists().where(hold.c.version == v.c.id, hold.c.state == "open")))
        .group_by(r.c.dataset, f.c.locator, f.c.text)
        .order_by(times.desc())
    )
    with database.engine.connect() as connection:
        return [{"dataset": x.dataset, "source": x.locator, "message": x.text, "times": x.times} for x in connection.execute(query)]
