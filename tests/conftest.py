"""Tests that need a server run where one is named: `make test-postgres`, `make test-hapi`. Elsewhere they are not selected."""

from __future__ import annotations

import os

import pytest

SERVERS = {"postgres": "YIFANG_TEST_POSTGRES", "hapi": "YIFANG_TEST_HAPI"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests marked for a server that the environment does not name."""
    absent = [marker for marker, variable in SERVERS.items() if not os.environ.get(variable)]
    out = [item for item in items if any(item.get_closest_marker(marker) for marker in absent)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]
