"""A table as one JSON list of objects."""

from __future__ import annotations

from typing import BinaryIO

from gateway.fhir import json
from gateway.views.output.values import plain
from gateway.views.table import Table

__all__ = ["write_json"]


def write_json(table: Table, stream: BinaryIO) -> int:
    """Writes the rows; their number."""
    count = 0
    stream.write(b"[")
    for row in table.rows:
        stream.write(b",\n" if count else b"\n")
        stream.write(json.encode({n: plain(v) for n, v in zip(table.names, row, strict=True)}))
        count += 1
    stream.write(b"\n]\n")
    return count
