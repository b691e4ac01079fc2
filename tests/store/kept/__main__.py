"""Keeps a database as it was written by a release, for the tests of later ones.

python -m tests.store.kept DATABASE FILE     the SQLite file's rows, table by table, as gzipped JSON; bytes as {"base64": ...}

The active map set stays out: it is the program's own, and half a megabyte.
"""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any


def kept(path: Path) -> dict[str, dict[str, Any]]:
    """{table: {"columns": [...], "rows": [[...], ...]}} of every table that has rows."""
    connection = sqlite3.connect(path)
    tables: dict[str, dict[str, Any]] = {}
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'map_set' ORDER BY name"
    ):
        cursor = connection.execute(f'SELECT * FROM "{name}"')
        columns = [column[0] for column in cursor.description]
        rows = [[{"base64": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for v in row] for row in cursor]
        if rows:
            tables[name] = {"columns": columns, "rows": rows}
    connection.close()
    return tables


if __name__ == "__main__":
    database, file = map(Path, sys.argv[1:])
    text = json.dumps(kept(database), ensure_ascii=False, separators=(",", ":"))
    file.write_bytes(gzip.compress(text.encode(), mtime=0))
