"""What all tests share: the servers they may need, the worker they run on, and what is made once a session because it is always the same.

Tests that need a server run where the environment names one (`make test-postgres`, `make test-hapi`); elsewhere they are not selected.
With pytest-xdist (`make test`, `make check`) the tests of a module stay on one worker, and so do all tests of one server.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

import gateway.site
from gateway.builtin import MAPPINGS
from gateway.log import scrub
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.site import Adapters
from gateway.store.database import Database

settings.register_profile("whole", deadline=None)
settings.register_profile("quick", max_examples=25, deadline=None)
settings.load_profile("whole")  # `make check` draws fewer examples; neither minds how long one takes while other workers are busy
SERVERS = {"postgres": "YIFANG_TEST_POSTGRES", "hapi": "YIFANG_TEST_HAPI", "node": "YIFANG_TEST_NODE"}
SHARED = ("postgres", "hapi")
"""Servers whose tests must not meet: they empty the database, or say what the server then holds."""

logging.getLogger("werkzeug").addHandler(logging.NullHandler())
"""pytest-httpserver's first line would otherwise make a handler on the captured stream of the test that runs then, which is closed with it."""

structlog.configure(processors=[structlog.processors.add_log_level, scrub, structlog.processors.JSONRenderer()])
"""What the gateway would log, without its handlers: structlog's own way of printing an exception with all its values costs seconds."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests marked for a server that the environment does not name. A worker gets the slow modules first, so that no long one is
    left for the end. UsageError when a test of a server that they share does not say so in its name, which the schedule goes by."""
    for item in items:
        for marker in SHARED:
            if item.get_closest_marker(marker) and marker not in item.nodeid:
                raise pytest.UsageError(f"{item.nodeid} is marked `{marker}`: write `{marker}` into its name too, it decides who runs it")
    absent = [marker for marker, variable in SERVERS.items() if not os.environ.get(variable)]
    out = [item for item in items if any(item.get_closest_marker(marker) for marker in absent)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]
    if "PYTEST_XDIST_WORKER" in os.environ:
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: (not _shared(item.nodeid), item.path not in slow))
    items.sort(key=_leaves_strangers)


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()


def _leaves_strangers(item: pytest.Item) -> bool:
    """Whether a test leaves Patients on the HAPI server. The demo, which counts what stands there against its own county, comes before."""
    return item.get_closest_marker("hapi") is not None and "acid" in item.path.parts


def _shared(nodeid: str) -> str:
    """The server that a test shares with others, by its name. Empty: none."""
    return next((server for server in SHARED if server in nodeid), "")


class ModuleOrServer(LoadScopeScheduling):
    """Tests of one server go to one worker, and of the others those of one module, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return _shared(nodeid) or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling | None:
    """With `--dist loadscope` the schedule is ours."""
    if config.getoption("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    return ModuleOrServer(config, log)


@pytest.fixture
def logging_put_back() -> Iterator[None]:
    """For tests that run `gateway.log.configure` in this process: handlers, levels, hooks and structlog are afterwards what they were."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level, warn, logs = root.handlers[:], root.level, warnings.showwarning, structlog.get_config()
    root.handlers[:] = []
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    warnings.showwarning = warn
    sys.excepthook, threading.excepthook = hooks
    structlog.configure(**logs)


@pytest.fixture(scope="session", autouse=True)
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty migrated SQLite database is copied where a test would make the same anew; the built-in maps are read once, and a set of maps
    is packed, unpacked and checked once. Other processes that tests start, databases that are already there, and PostgreSQL do without."""
    empty = tmp_path_factory.mktemp("empty") / "yifang.sqlite3"
    migrate, check = Database.migrate, gateway.site.checked
    sets: dict[str, Catalogue] = {}
    built_in = MapFiles.from_folders([MAPPINGS])
    read, pack = MapFiles.from_folders, MapFiles.snapshot
    packed: dict[str, bytes] = {}
    files_of: dict[bytes, MapFiles] = {}

    def migrated(database: Database) -> None:
        path = Path(database.url.database or "")
        if database.dialect != "sqlite" or path.exists():
            migrate(database)
            return
        if not empty.exists():
            made = Database(database.url.set(database=str(empty)))
            migrate(made)
            made.close()
        shutil.copyfile(empty, path)

    def checked(files: MapFiles, adapters: Adapters) -> Catalogue:
        if files.digest not in sets:
            sets[files.digest] = check(files, adapters)
        return sets[files.digest]

    def from_folders(folders: Iterable[Path]) -> MapFiles:
        asked = list(folders)
        return built_in if asked == [MAPPINGS] else read(asked)

    def snapshot(files: MapFiles) -> bytes:
        if files.digest not in packed:
            packed[files.digest] = pack(files)
        return packed[files.digest]

    def from_snapshot(content: bytes, unpack: Callable[[bytes], MapFiles] = MapFiles.from_snapshot) -> MapFiles:
        if content not in files_of:
            files_of[content] = unpack(content)
        return files_of[content]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MapFiles, "from_folders", staticmethod(from_folders))
        patch.setattr(MapFiles, "snapshot", snapshot)
        patch.setattr(MapFiles, "from_snapshot", staticmethod(from_snapshot))
        patch.setattr(Database, "migrate", migrated)
        patch.setattr(gateway.site, "checked", checked)
        yield
