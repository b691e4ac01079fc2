"""What a file takes of memory does not grow with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench.memory import peak, write

NO_CACHE = """
import sys
import gateway.store.database as database
database.PRAGMAS = tuple(p for p in database.PRAGMAS if not p.startswith("cache_size"))
from gateway.cli import main
main(sys.argv[1:])
"""
"""The command without its page caches, which fill with whatever is written until they are full and would hide what grows."""

GROWTH = 24
"""MB that thirty megabytes more of file may take: what is remembered of values that come again fills up with the rows."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_forty_megabytes_take_no_more_than_ten(tmp_path: Path, kind: str) -> None:
    peaks = []
    for megabytes in (10, 40):
        file = tmp_path / f"{megabytes}.{kind}"
        assert write(file, megabytes) > 500
        peaks.append(peak(tmp_path / str(megabytes), file, ("-c", NO_CACHE)))
    assert peaks[1] - peaks[0] < GROWTH, f"MB for a file of 10 MB and of 40 MB: {peaks}"
