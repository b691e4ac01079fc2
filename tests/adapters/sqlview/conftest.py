"""Front-end databases for the tests: SQLite always, PostgreSQL when YIFANG_TEST_POSTGRES names a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

POSTGRES = "YIFANG_TEST_POSTGRES"


ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES in os.environ else [])]


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty front-end database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'front.db'}"
        return
    server = os.environ[POSTGRES]
    name = f"front_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def front(url: str) -> Iterator[sa.Engine]:
    """The vendor's side of that database, with a view of follow-ups and child views of drugs and their doses."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    number = "NUMERIC(6,2)" if engine.dialect.name == "postgresql" else "TEXT"
    stamp = "TIMESTAMP" if engine.dialect.name == "postgresql" else "TEXT"
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE visit (no TEXT, sbp {number}, void TEXT DEFAULT '0', updated {stamp})"))
        connection.execute(sa.text("CREATE TABLE drug (visit_no TEXT, drug_no TEXT, name TEXT)"))
        connection.execute(sa.text("CREATE TABLE dose (drug_no TEXT, amount TEXT)"))
        for view in ("visit", "drug", "dose"):
            connection.execute(sa.text(f"CREATE VIEW v_{view} AS SELECT * FROM {view}"))
    yield engine
    engine.dispose()
