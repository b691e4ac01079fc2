"""The real HAPI FHIR server named by YIFANG_TEST_HAPI, and a gateway that delivers to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

from gateway.clock import SetClock
from tests.hapi.goldens import Site

ADAPTERS = ("sqlview", "hl7v2", "cda", "sheet", "restjson")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway whose deployment key, and so whose ids, are its own: tests share the server and do not meet there."""
    adapters = {name: import_module(f"adapters.{name}").adapter for name in ADAPTERS}
    made = Site(tmp_path, os.environ["YIFANG_TEST_HAPI"], SetClock(datetime(2026, 3, 1, 8, tzinfo=UTC)), adapters)
    with made.gateway:
        yield made
    made.database.close()
