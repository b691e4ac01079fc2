"""A table as NDJSON: one object a row, numbers as they were written."""

from __future__ import annotations

from typing import BinaryIO

from gateway.fhir import json
from gateway.views.output.values import plain
from gateway.views.table import Table

__all__ = ["write_ndjson"]


def write_ndjson(table: Table, stream: BinaryIO) -> int:
    """Writes the rows; their number."""
    count = 0
    for row in table.rows:
        stream.write(json.encode({n: plain(v) for n, v in zip(table.names, row, strict=True)}) + b"\n")
        count += 1
    return count
