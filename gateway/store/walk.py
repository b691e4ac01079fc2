"""Every resource of a type, once: for views and other readers of everything.

Which ones there are is read first, eight bytes each; their content follows in portions, each as it is then. So none is doubled or left out when it
is changed meanwhile, no transaction stays open, and memory does not grow with what is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

from sqlalchemy import select

from gateway.store import tables as t
from gateway.store.database import Database
from gateway.store.scope import Scope
from gateway.store.search.page import current

__all__ = ["walk"]

PORTION = 1000


def walk(database: Database, type_: str, scope: Scope, progress: Callable[[int, int], None] = lambda done, total: None) -> Iterator[bytes]:
    """The JSON of each resource of a type in the order of rid, deleted ones left out. progress: is told how many are read, of how many."""
    with database.engine.connect() as connection:
        r = t.resource
        query = select(r.c.rid).where(r.c.type == type_).order_by(r.c.rid)
        rids = array("q", connection.execution_options(yield_per=10_000).scalars(query))
    for start in range(0, len(rids), PORTION):
        with database.engine.connect() as connection:
            found = current(connection, scope, rids[start : start + PORTION])
        for one in found:
            yield one.content
        progress(min(start + PORTION, len(rids)), len(rids))
