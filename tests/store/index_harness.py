"""A store of nothing but resources and their index, for tests of the index and of search."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from gateway.fhir import json
from gateway.fhir.query import parse_query
from gateway.store.index import tables as index_tables
from gateway.store.index.keys import default_indexer
from gateway.store.index.write import START, IndexRow, IndexWriter
from gateway.store.scope import Scope
from gateway.store.search import Limits, Page, Searcher
from gateway.store.tables import resource as resource_table

TABLES = [resource_table, index_tables.posting, index_tables.fresh, index_tables.row, index_tables.string]
SCOPE = Scope.all("tester")
POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]


class Store:
    """Puts, deletes and searches resources; rid by (type, id)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writer = IndexWriter(engine.dialect.name)
        self.searcher = Searcher(default_indexer(), limits=Limits(few=20))
        self.rids: dict[tuple[str, str], int] = {}
        self.clock = 1_700_000_000_000_000

    def put(self, *resources: dict[str, Any]) -> None:
        """Writes each resource, new or as its next version, in one commit."""
        added: list[IndexRow] = []
        updated: list[IndexRow] = []
        with self.engine.begin() as connection:
            for resource in resources:
                self.clock += 1_000_000
                place = resource["resourceType"], resource["id"]
                known = place in self.rids
                rid = self.rids.setdefault(place, len(self.rids) + 1)
                row = IndexRow(rid, place[0], self.clock, default_indexer().entries(place[0], resource))
                (updated if known else added).append(row)
                self._resource(connection, rid, resource, known)
            cursor = connection.connection.cursor()
            self.writer.add(cursor, added)
            self.writer.update(cursor, updated)

    def _resource(self, connection: Connection, rid: int, resource: dict[str, Any], known: bool) -> None:
        values = {"version": 1, "time": self.clock, "content": json.encode(resource), "deleted": False}
        if known:
            values["version"] = resource_table.c.version + 1
            connection.execute(resource_table.update().where(resource_table.c.rid == rid).values(values))
        else:
            own = {"rid": rid, "type": resource["resourceType"], "id": resource["id"], "seq": rid, "custodian": ""}
            connection.execute(resource_table.insert().values(own | values))

    def delete(self, type_: str, id_: str) -> None:
        rid = self.rids[type_, id_]
        with self.engine.begin() as connection:
            self.writer.remove(connection.connection.cursor(), [rid])
            connection.execute(resource_table.update().where(resource_table.c.rid == rid).values(deleted=True))

    def merge(self, rows: int = 7, steps: int = 1_000_000) -> None:
        """At most `steps` merge steps."""
        after: Any = START
        for _ in range(steps):
            with self.engine.begin() as connection:
                after = self.writer.merge_step(connection.connection.cursor(), rows, after)
            if after is None:
                return

    def page(self, type_: str, query: str = "", cursor: str | None = None, scope: Scope = SCOPE) -> Page:
        with self.engine.connect() as connection:
            return self.searcher.search(connection, type_, parse_query(query), scope, cursor)

    def ids(self, type_: str, query: str = "") -> list[str]:
        """Ids of all pages, in order."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = self.page(type_, query, cursor)
            found += [row.id for row in page.rows]
            cursor = page.next
            if cursor is None:
                return found

    def rows(self, table: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@contextmanager
def open_store(kind: str, folder: Any) -> Iterator[Store]:
    """An empty store on SQLite, or in a schema of its own on the PostgreSQL of YIFANG_TEST_POSTGRES."""
    if kind == "sqlite":
        engine = create_engine(f"sqlite:///{folder}/index.sqlite3")
        for table in TABLES:
            table.create(engine)
        yield Store(engine)
        engine.dispose()
        return
    schema = f"index_{uuid4().hex}"
    admin = create_engine(POSTGRES)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine = create_engine(POSTGRES, connect_args={"options": f"-csearch_path={schema}"})
    try:
        for table in TABLES:
            table.create(engine)
        yield Store(engine)
    finally:
        engine.dispose()
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()
