"""A gateway on a free port, as any client meets it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.config import parse
from tests.test_service import running


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The FHIR base of a gateway with an empty embedded database; the tests of a module share it."""
    folder = tmp_path_factory.mktemp("acid")
    with running(parse({"http": {"port": 0, "max_body": 65_536}, "store": {"data": str(folder / "data")}}, folder / "yifang.toml")) as served:
        yield f"{served.service.url}/fhir"
