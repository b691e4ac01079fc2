"""A table as CSV: a heading, comma, UTF-8, line feed (https://www.rfc-editor.org/rfc/rfc4180)."""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from gateway.views.output.values import as_text
from gateway.views.table import Table

__all__ = ["write_csv"]


def write_csv(table: Table, stream: BinaryIO) -> int:
    """Writes the rows; their number."""
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.names)
    count = 0
    for row in table.rows:
        writer.writerow([as_text(v) for v in row])
        count += 1
    text.flush()
    text.detach()
    return count
