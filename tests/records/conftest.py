"""Counties on both engines: SQLite always, PostgreSQL when YIFANG_TEST_POSTGRES names a database for tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.records.county import County, fresh_schema

POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]


@pytest.fixture(params=ENGINES)
def new_county(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., County]]:
    """Makes counties; each new one starts empty."""
    made: list[County] = []

    def make(**options: Any) -> County:
        while made:
            made.pop().__exit__()
        url = None
        if request.param == "postgresql":
            url = POSTGRES
            fresh_schema(url)
        made.append(County(tmp_path / str(make.__dict__.setdefault("n", 0)), url, **options).__enter__())
        make.__dict__["n"] += 1
        return made[-1]

    yield make
    for county in made:
        county.__exit__()


@pytest.fixture
def county(new_county: Callable[..., County]) -> County:
    """One running county."""
    return new_county()
