"""The migrations make exactly the tables that the code describes, on both engines."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text

import gateway.store.index.tables as index_tables
from gateway.config import StoreConfig
from gateway.store import job_tables, meta_tables, subscription_tables, tables
from gateway.store.database import MIGRATIONS, Database
from gateway.store.metadata import metadata

assert tables and index_tables and job_tables and meta_tables and subscription_tables


def statements(url: str) -> dict[str, str]:
    """Name -> the statement that made it, blanks and quotes left out, parts of a table in no order."""
    engine = create_engine(url)
    with engine.connect() as c:
        rows = c.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'")).all()
    engine.dispose()
    return {name: " ".join(sorted(re.sub(r'["\s]+', " ", part).strip() for part in re.split(r",\s*\n|\n", sql))) for name, sql in rows}


def test_a_migrated_sqlite_database_has_the_statements_of_the_tables(tmp_path: Path) -> None:
    Database.open(StoreConfig(data=tmp_path)).close()
    described = create_engine(f"sqlite:///{tmp_path / 'described.sqlite3'}")
    metadata.create_all(described)
    described.dispose()
    migrated = statements(f"sqlite:///{tmp_path / 'yifang.sqlite3'}")
    assert len(migrated) > 30
    assert migrated == statements(f"sqlite:///{tmp_path / 'described.sqlite3'}")


@pytest.mark.postgres
def test_a_migrated_postgresql_database_differs_in_nothing_from_the_tables() -> None:
    server = make_url(os.environ["YIFANG_TEST_POSTGRES"])
    name = f"migrated_{os.getpid()}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        c.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    database = Database.open(StoreConfig(database=server.set(database=name).render_as_string(hide_password=False)))
    with database.engine.connect() as c:
        assert compare_metadata(MigrationContext.configure(c), metadata) == []
        partial = {i["name"] for t in inspect(c).get_table_names() for i in inspect(c).get_indexes(t) if i["dialect_options"].get("postgresql_where")}
    database.close()
    assert {"uq_hold_open", "uq_map_set_active", "ix_delivery_owed"} <= partial


def test_a_database_of_the_first_version_is_migrated_with_what_it_holds(tmp_path: Path) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{tmp_path / 'yifang.sqlite3'}")
    with engine.connect() as c:
        config.attributes["connection"] = c
        command.upgrade(config, "0001")
        c.execute(text("INSERT INTO delivery_wait VALUES ('hapi', 'Encounter', 'e', 'Observation', 'o', 1)"))
        c.execute(text("INSERT INTO identifier_key VALUES (40, 7, 'urn:a', '12', 'Patient'), (50, 8, 'urn:b', '34', 'Encounter')"))
        c.execute(text("INSERT INTO index_row (rid, t, long, time, updated, posted, keys, spans, amounts) VALUES (7, 100, 0, 1, 2, 0, '', '', '')"))
        c.execute(text("INSERT INTO index_row (rid, t, long, time, updated, posted, keys, spans, amounts) VALUES (8, 200, 1, 1, 2, 0, '', '', '')"))
        c.commit()
    engine.dispose()
    database = Database.open(StoreConfig(data=tmp_path))
    with database.engine.connect() as c:
        assert c.execute(text("SELECT target_id, id FROM delivery_wait")).all() == [("e", "o")]
        assert c.execute(text("SELECT key, t, rid FROM index_posting ORDER BY rid")).all() == [(40, 100, 7), (51, 200, 8)]
    database.close()
    Database.open(StoreConfig(data=tmp_path / "new")).close()
    assert statements(f"sqlite:///{tmp_path / 'yifang.sqlite3'}") == statements(f"sqlite:///{tmp_path / 'new' / 'yifang.sqlite3'}")


def test_a_migration_repeated_changes_nothing(tmp_path: Path) -> None:
    Database.open(StoreConfig(data=tmp_path)).close()
    before = statements(f"sqlite:///{tmp_path / 'yifang.sqlite3'}")
    Database.open(StoreConfig(data=tmp_path)).close()
    assert statements(f"sqlite:///{tmp_path / 'yifang.sqlite3'}") == before
