"""Files of a table: one module a format."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from gateway.views.output.csv import write_csv
from gateway.views.output.json import write_json
from gateway.views.output.ndjson import write_ndjson
from gateway.views.table import Table

__all__ = ["WRITERS"]

WRITERS: dict[str, Callable[[Table, BinaryIO], int]] = {"csv": write_csv, "ndjson": write_ndjson, "json": write_json}
"""Formats that are written to a stream; a workbook is written to a file, Parquet by DuckDB."""
