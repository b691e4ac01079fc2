"""The FHIR servers that the API benchmark compares, each pair on databases of its own: the gateway, HAPI, and a handler that does nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.bench.products import free_port, running
from tests.services import hapi, postgres

CONFIGURATION = '[http]\nport = {port}\n\n[log]\nlevel = "error"\n'
HEAP = "4g"
"""HAPI's heap: its H2 database is in it as well."""


@dataclass(frozen=True, slots=True)
class Server:
    """A FHIR server under load. prefix: path of its base."""

    name: str
    port: int
    prefix: str


Pair = tuple[Server, Server]


@contextmanager
def gateway(folder: Path, database: str = "") -> Iterator[Server]:
    """`yifang serve` on an empty database. database: SQLAlchemy URL; SQLite in the folder when left out."""
    folder.mkdir(parents=True)
    port = free_port()
    store = f'\n[store]\ndatabase = "{database}"\n' if database else ""
    (folder / "yifang.toml").write_text(CONFIGURATION.format(port=port) + store, "utf-8")
    with running([sys.executable, "-m", "gateway", "serve", "--config", str(folder / "yifang.toml")], folder, port, dict(os.environ)):
        yield Server("yifang", port, "/fhir")


@contextmanager
def peer(**settings: str) -> Iterator[Server]:
    """HAPI. settings: of tests/hapi/README.md."""
    with hapi(YIFANG_HAPI_HEAP=HEAP, **settings) as told:
        base = urlsplit(told["YIFANG_TEST_HAPI"])
        assert base.port is not None
        yield Server("hapi", base.port, base.path)


@contextmanager
def bare(folder: Path, content: bytes) -> Iterator[Server]:
    """A handler that answers the same bytes to every request (tests/bench/bare.py)."""
    file, port = folder / "bare.json", free_port()
    file.write_bytes(content)
    with running([sys.executable, "-m", "tests.bench.bare", str(port), str(file)], folder, port, dict(os.environ)):
        yield Server("bare", port, "")


@contextmanager
def embedded(folder: Path) -> Iterator[Pair]:
    """The gateway on SQLite, which has every commit on disk; HAPI on H2, which has everything in memory."""
    with gateway(folder) as own, peer() as other:
        yield own, other


@contextmanager
def on_postgres(folder: Path) -> Iterator[Pair]:
    """Both on one private PostgreSQL that has every commit on disk, each in a database of its own."""
    with ExitStack() as stack:
        url = stack.enter_context(postgres(durable=True))["YIFANG_TEST_POSTGRES"]
        place = urlsplit(url)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE DATABASE hapi")
        jdbc = f"jdbc:postgresql://{place.hostname}:{place.port}/hapi"
        own = stack.enter_context(gateway(folder, url))
        yield own, stack.enter_context(peer(YIFANG_HAPI_JDBC=jdbc, YIFANG_HAPI_USER=place.username or ""))


PAIRS: dict[str, tuple[str, Callable[[Path], AbstractContextManager[Pair]]]] = {
    "sqlite": ("SQLite against H2", embedded),
    "postgres": ("PostgreSQL against PostgreSQL", on_postgres),
}
"""Name on the command line -> name in the report, and what starts it."""
