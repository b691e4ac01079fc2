"""The database: one schema on SQLite (WAL, synchronous=FULL; the embedded default) and PostgreSQL (by URL)."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import URL, Engine, create_engine, delete, event, func, insert, make_url, select, text
from sqlalchemy.exc import IntegrityError

from gateway.config import StoreConfig
from gateway.errors import ConfigError
from gateway.store import tables
from gateway.store.raw import SPAN
from gateway.store.turnstile import Turnstile

MIGRATIONS = Path(__file__).parent / "migrations"
FILE = "yifang.sqlite3"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000", "cache_size=-65536", "wal_autocheckpoint=4000")
"""The log is moved to its places when it has 4000 pages (16 MB): what every commit touches is then written there once for many commits."""
KEY = "deployment-key"
OFFSET = "sequence-offset"


class Database:
    """An opened, migrated database. `engine` serves reads; `raw()` gives the writer's connection, whose transactions it ends itself.
    `lock` is held while a transaction writes (SQLite; several write at once on PostgreSQL)."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.dialect = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql"
        self.engine = _engine(url)
        self.races, self.away = _faults(self.dialect)
        self.closing: list[Callable[[], None]] = []  # what was opened beside the engine and ends with it
        self.lock: AbstractContextManager[None] = nullcontext()
        if self.dialect == "sqlite":
            assert url.database is not None
            self.lock = turnstile = Turnstile(Path(url.database).parent)
            self.closing.append(turnstile.close)

    @classmethod
    def open(cls, config: StoreConfig) -> Database:
        """Opens what the configuration names, creates it when it is not there, and migrates it to this version's schema."""
        database = cls.opened(config)
        database.migrate()
        return database

    @classmethod
    def opened(cls, config: StoreConfig) -> Database:
        """Opens what the configuration names as it is: for a process beside the one that migrated it."""
        if config.database:
            url = make_url(config.database)
            if url.get_backend_name() != "postgresql":
                raise ConfigError(f"[store] database 只支持 postgresql+psycopg://…, 不支持 {url.drivername}; 不写 database 则用内置的 SQLite")
            url = url.set(drivername="postgresql+psycopg")
        else:
            config.data.mkdir(parents=True, exist_ok=True)
            url = URL.create("sqlite", database=str(config.data / FILE))
        return cls(url)

    def migrate(self) -> None:
        """Brings the schema to this version's; safe to repeat."""
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        if self.dialect == "postgresql":
            self._carry_on_sequence()

    def _carry_on_sequence(self) -> None:
        """In a restored database transaction ids start anew; an offset keeps commit sequences growing past those it already holds."""
        with self.engine.begin() as connection:
            connection.execute(text("LOCK TABLE setting IN SHARE ROW EXCLUSIVE MODE"))
            highest = connection.scalar(select(func.max(tables.event.c.seq))) or 0
            present = int(connection.scalar(text("SELECT pg_current_xact_id()::text::bigint")) or 0)
            found = connection.scalar(select(tables.setting.c.value).where(tables.setting.c.name == OFFSET))
            offset = int(bytes(found)) if found is not None else 0
            if (highest >> SPAN) < present + offset:
                return
            value = str((highest >> SPAN) + 1 - present).encode()
            connection.execute(delete(tables.setting).where(tables.setting.c.name == OFFSET))
            connection.execute(insert(tables.setting).values(name=OFFSET, value=value))

    def raw(self) -> Any:
        """A DBAPI connection outside the pool for the writer: sqlite3 in autocommit (it says BEGIN IMMEDIATE itself) or psycopg."""
        if self.dialect == "sqlite":
            assert self.url.database is not None
            connection = sqlite3.connect(self.url.database, timeout=60, isolation_level=None, check_same_thread=False, cached_statements=512)
            _pragmas(connection)
            return connection
        import psycopg

        return psycopg.connect(self.url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)

    def deployment_key(self) -> bytes:
        """The key of all derived ids (gateway/fhir/ids.py); made at first start, never changed."""
        found = self._setting(KEY)
        if found is None:
            with self.engine.begin() as connection:
                try:
                    connection.execute(insert(tables.setting).values(name=KEY, value=secrets.token_bytes(32)))
                except IntegrityError:
                    connection.rollback()
            found = self._setting(KEY)
        assert found is not None
        return found

    def _setting(self, name: str) -> bytes | None:
        with self.engine.connect() as connection:
            value = connection.scalar(select(tables.setting.c.value).where(tables.setting.c.name == name))
            return None if value is None else bytes(value)

    def close(self) -> None:
        """Returns all pooled connections."""
        for close in reversed(self.closing):
            close()
        self.closing.clear()
        self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A raw cursor inside one write transaction (BEGIN IMMEDIATE on SQLite); for writes outside the writer thread."""
        connection = self.raw()
        try:
            with self.lock, transaction(connection, self.dialect) as cursor:
                yield cursor
        finally:
            connection.close()


@contextmanager
def transaction(connection: Any, dialect: str) -> Iterator[Any]:
    """Begins, yields a cursor, commits; rolls back when the body raises."""
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE" if dialect == "sqlite" else "BEGIN")
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        if dialect == "sqlite":
            if connection.in_transaction:
                cursor.execute("ROLLBACK")
        else:
            connection.execute("ROLLBACK")
        raise
    finally:
        cursor.close()


def _pragmas(connection: Any) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _planned_anew(connection: Any) -> None:
    """PostgreSQL compiles what it believes to be dear: seconds for a search of milliseconds. And the plan that it keeps for a statement
    asked often does not know how few a key leads to. Nor does it know that of new rows: nothing is read whole where an index leads."""
    connection.execute("SET jit = off")
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.execute("SET enable_seqscan = off")
    connection.commit()


def _faults(dialect: str) -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """The driver's exceptions of a race lost to another writer, and of a database that does not answer. psycopg is slow to import, and
    the embedded database needs none of it."""
    if dialect == "sqlite":
        return (), (sqlite3.OperationalError,)
    from psycopg import OperationalError, errors

    return (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation), (OperationalError,)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        engine = create_engine(url, pool_pre_ping=True)
        event.listen(engine, "connect", lambda connection, _record: _planned_anew(connection))
        return engine
    engine = create_engine(url, connect_args={"timeout": 60, "check_same_thread": False})
    event.listen(engine, "connect", lambda connection, _record: _pragmas(connection))
    return engine
