"""Keeps a database as this release writes it, for the tests of later ones.

python -m tests.store.kept     makes a small site (tests/store/kept/county.py) and writes the rows of its SQLite database, table by table, as
gzipped JSON into `schema-<revision>.json.gz` beside this file; bytes as {"base64": ...}

The active map set stays out: it is the program's own, and half a megabyte.
"""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from tests.store.kept.county import site, write


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


def main() -> None:
    """The command."""
    with tempfile.TemporaryDirectory() as folder:
        with site(Path(folder)) as (front, clock):
            write(front, clock)
        tables = kept(Path(folder) / "yifang.sqlite3")
    file = Path(__file__).parent / f"schema-{tables['alembic_version']['rows'][0][0]}.json.gz"
    file.write_bytes(gzip.compress(json.dumps(tables, ensure_ascii=False, separators=(",", ":")).encode(), mtime=0))
    print(file)


if __name__ == "__main__":
    main()
