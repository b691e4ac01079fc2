"""A database that an earlier release wrote opens with this one and serves what it holds, on both engines."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import URL, Boolean, MetaData, create_engine, make_url, text

from gateway.config import StoreConfig
from gateway.fhir.json import decode
from gateway.fhir.query import parse_query
from gateway.store import deliveries, holds, resources
from gateway.store.database import MIGRATIONS, Database
from gateway.store.scope import Scope
from gateway.store.search import search

KEPT = sorted((Path(__file__).parent / "kept").glob("*.json.gz"))
POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]
SCOPE = Scope.all()


def restore(url: URL, file: Path) -> None:
    """Fills an empty database with what a release kept, in the schema that it had."""
    tables: dict[str, dict[str, Any]] = json.loads(gzip.decompress(file.read_bytes()))
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, tables.pop("alembic_version")["rows"][0][0])
        schema = MetaData()
        schema.reflect(connection)
        numbers = tables["counter"]["rows"][0][1]
        for name, kept in tables.items():
            columns = schema.tables[name].c
            rows = [{c: plain(v, columns[c].type) for c, v in zip(kept["columns"], row, strict=True)} for row in kept["rows"]]
            connection.execute(schema.tables[name].insert(), rows)
        if url.get_backend_name() != "sqlite":  # what the engines keep differently: batches of new postings, where numbers come from
            connection.execute(text("UPDATE index_fresh SET batch = 0"))
            connection.execute(text("SELECT setval('yifang_number', :n)"), {"n": numbers})
    engine.dispose()


def plain(value: Any, kind: Any) -> Any:
    """A kept value as its column takes it."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return bool(value) if isinstance(kind, Boolean) and value is not None else value


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        config = StoreConfig(data=tmp_path)
        url = make_url(f"sqlite:///{tmp_path / 'yifang.sqlite3'}")
    else:
        assert POSTGRES is not None
        name = f"kept_{os.getpid()}_{abs(hash(request.node.name)) % 10**8}"
        server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        server.dispose()
        url = make_url(POSTGRES).set(database=name)
        config = StoreConfig(database=url.render_as_string(hide_password=False))
    restore(url, KEPT[0])
    opened = Database.open(config)
    yield opened
    opened.close()


def found(database: Database, type_: str, query: str) -> list[dict[str, Any]]:
    with database.engine.connect() as connection:
        return [decode(row.content) for row in search(connection, type_, parse_query(query), SCOPE).rows]


def test_what_an_earlier_release_wrote_is_found_read_and_owed(database: Database) -> None:
    (patient,) = found(database, "Patient", "identifier=390121195803140267")
    assert patient["name"][0]["text"] == "欧阳禾"
    pressures = found(database, "Observation", f"patient=Patient/{patient['id']}&code=http://loinc.org|85354-9")
    assert [o["component"][0]["valueQuantity"]["value"] for o in pressures] == [136]
    assert len(found(database, "Observation", "identifier=H39010000009/R-2")) == 1
    with database.engine.connect() as connection:
        versions = resources.history(connection, "Observation", pressures[0]["id"], SCOPE)
        assert [v.version for v in versions] == [2, 1]
        assert decode(versions[1].content)["component"][0]["valueQuantity"]["value"] == 138
    assert {h.code for h in holds.listing(database)} == {"impossible-value"}
    assert [(owed.destination, owed.waiting > 0) for owed in deliveries.queue(database)] == [("upstream", True)]
