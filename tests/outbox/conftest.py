"""Towns on both engines; no sender leaves a thread behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from pytest_httpserver import HTTPServer

from tests.outbox.town import Town
from tests.records.conftest import ENGINES, new_county  # noqa: F401 - the fixture, on both engines
from tests.records.county import County

assert ENGINES


@pytest.fixture
def town(new_county: Callable[..., County], httpserver: HTTPServer) -> Town:  # noqa: F811 - the fixture
    return Town(new_county(destinations=["hapi"]), httpserver)


@pytest.fixture
def concurrent() -> Iterator[HTTPServer]:
    """A server that answers several requests at once."""
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before + 1
