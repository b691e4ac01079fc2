"""Wards on both engines; no notifier leaves a thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.http.conftest import ENGINES, POSTGRES
from tests.notify.ward import Ward
from tests.records.county import fresh_schema


@pytest.fixture(scope="session")
def receiver() -> Iterator[HTTPServer]:
    """One server for all wards: to stop takes it half a second."""
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture(params=ENGINES)
def ward(request: pytest.FixtureRequest, tmp_path: Path, receiver: HTTPServer) -> Iterator[Ward]:
    store: dict[str, str] = {"data": str(tmp_path / "data")}
    if request.param == "postgresql":
        fresh_schema(POSTGRES)
        store = {"database": POSTGRES}
    receiver.clear()
    made = Ward(tmp_path, store, receiver)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("notify-")]
