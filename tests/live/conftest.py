"""A served town with village posts and a laboratory, whose maps are edited while it runs; on SQLite, and on PostgreSQL when there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.town import Town
from tests.records.county import fresh_schema

POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]


def only_two(raw: dict[str, Any]) -> None:
    """Leaves the feeds that these tests need."""
    raw["source"] = [s for s in raw["source"] if s["name"] in ("village-post", "lis")]


@pytest.fixture(params=ENGINES)
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    """A town of the test's own: each edits the maps from the built-in ones."""
    database = None
    if request.param == "postgresql":
        fresh_schema(POSTGRES)
        database = POSTGRES
    with Town(tmp_path, database, only_two) as made:
        yield made
