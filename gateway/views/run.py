"""A view run over the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.fhir import json
from gateway.store.database import Database
from gateway.store.scope import Scope
from gateway.store.walk import walk
from gateway.views.table import Table, sql_type
from gateway.views.view import Row, View

__all__ = ["run"]


def run(view: View, database: Database, scope: Scope, progress: Callable[[int, int], None] = lambda done, total: None) -> Table:
    """The view's table; its rows are made while they are read. Reading them raises ViewError when a resource gives what the view does not
    allow. progress: is told how many resources are read, of how many."""

    def rows() -> Iterator[Row]:
        for content in walk(database, view.type, scope, progress):
            yield from view.rows(json.decode(content))

    return Table(tuple(c.name for c in view.columns), tuple(sql_type(c) for c in view.columns), rows())
