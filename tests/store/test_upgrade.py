"""A database that an earlier release wrote opens with this one and serves what it holds, on both engines."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from datetime import timedelta
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
from tests.http.conftest import Front
from tests.store.kept.county import KEYED, ONCE, site
from tests.village import reading

KEPT = Path(__file__).parent / "kept"
FIRST = KEPT / "issue-3.json.gz"
SCHEMAS = sorted(KEPT.glob("schema-*.json.gz"))
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
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Where a database may be restored."""
    if request.param == "sqlite":
        url = make_url(f"sqlite:///{tmp_path / 'yifang.sqlite3'}")
    else:
        assert POSTGRES is not None
        name = f"kept_{os.getpid()}_{abs(hash(request.node.name)) % 10**8}"
        server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        server.dispose()
        url = make_url(POSTGRES).set(database=name)
    return url


def address(url: URL) -> dict[str, str]:
    """The store's setting beside the folder."""
    return {} if url.get_backend_name() == "sqlite" else {"database": url.render_as_string(hide_password=False)}


@pytest.fixture
def database(empty: URL, tmp_path: Path) -> Iterator[Database]:
    """What the first release kept, opened by this one."""
    restore(empty, FIRST)
    opened = Database.open(StoreConfig(data=tmp_path, **address(empty)))
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


def ids(front: Front, path: str) -> list[str]:
    """Ids of what a search finds."""
    return [e["resource"]["id"] for e in front.get(path).json().get("entry", [])]


def test_a_database_of_the_present_schema_is_kept() -> None:
    newest = max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("0*.py"))
    assert SCHEMAS[-1].name == f"schema-{newest}.json.gz", "run `python -m tests.store.kept` and commit what it writes"


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name.removesuffix(".json.gz"))
def test_a_site_of_an_earlier_schema_goes_on_where_it_was(empty: URL, file: Path, tmp_path: Path) -> None:
    """What tests/store/kept/county.py wrote by the program of that day: records, clients' writes, what is held, owed, linked, watched."""
    restore(empty, file)
    with site(tmp_path, **address(empty)) as (front, clock):
        clock.advance(timedelta(hours=1))
        history = front.get("/fhir/Observation/kept-o/_history").json()["entry"]
        assert [e["resource"]["status"] for e in history[-2:]] == ["amended", "final"]
        assert ids(front, "/fhir/Observation?_id=kept-o&status=amended") == ["kept-o"]
        assert front.get("/fhir/Basic/kept-gone").status_code == 410
        (pressure,) = front.get("/fhir/Observation?code=http://loinc.org|85354-9").json()["entry"]
        assert (pressure["resource"]["component"][0]["valueQuantity"]["value"], pressure["resource"]["meta"]["versionId"]) == (136, "2")
        for method, path, body, headers, status in ((*KEYED, 201), (*ONCE, 200)):
            again = front.write(method, path, body, **headers)
            assert (again.status_code, again.headers.get("idempotent-replay")) == (status, "true" if status == 201 else None)
        assert len(ids(front, "/fhir/Device")) == 2
        assert front.get("/fhir/Subscription/kept-s").json()["status"] == "requested"
        assert front.reading(reading(3, 26))["state"] == "mapped"
        assert len(ids(front, "/fhir/Observation?code=http://loinc.org|85354-9")) == 2
        assert {h.code for h in holds.listing(front.site.database)} == {"impossible-value"}
        assert [(owed.destination, owed.waiting > 0) for owed in deliveries.queue(front.site.database)] == [("upstream", True)]
        assert front.get("/fhir/Patient/kept-b").json()["link"][0]["other"] == {"reference": "Patient/kept-a"}
        front.site.gateway.unlink("kept-b", "test")
        assert "link" not in front.get("/fhir/Patient/kept-b").json()
        assert ids(front, "/fhir/Observation?patient=kept-b") == ["kept-o"]
