"""One served town for all cases, on SQLite, and on PostgreSQL when YIFANG_TEST_POSTGRES names a database for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.town import Town
from tests.records.county import fresh_schema

POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]


@pytest.fixture(scope="module", params=ENGINES)
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The town of a module; its tests use numbers of their own, so that they do not meet."""
    database = None
    if request.param == "postgresql":
        fresh_schema(POSTGRES)
        database = POSTGRES
    root: Path = tmp_path_factory.mktemp("town")
    with Town(root, database) as made:
        yield made
