"""Views as tables of a DuckDB in a temporary folder: SQL over them, and Parquet (https://duckdb.org/docs/)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import Finding
from gateway.fhir import json
from gateway.views.definition import ViewError
from gateway.views.table import Table
from gateway.views.view import Row

if TYPE_CHECKING:
    import duckdb

__all__ = ["Warehouse", "opened"]

PORTION = 10_000
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "1GB",
}


class Warehouse:
    """Tables of views. What is beyond 1 GB of memory goes to the temporary folder."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    def load(self, name: str, table: Table) -> None:
        """Takes a table in. Raises ViewError for a value that its SQL type cannot hold."""
        import duckdb

        file = self._folder / "rows.ndjson"
        with file.open("wb") as stream:
            for row in table.rows:
                stream.write(json.encode(dict(zip(table.names, row, strict=True))) + b"\n")
        columns = ", ".join(f"{_quoted(n)}: '{t}'" for n, t in zip(table.names, table.types, strict=True))
        try:
            self._connection.execute(
                f"CREATE TABLE {_name(name)} AS SELECT * FROM read_json(?, format = 'newline_delimited', "
                f"maximum_object_size = 67108864, columns = {{{columns}}})",
                [str(file)],
            )
        except duckdb.Error as e:
            text = f"视图 {name} 的值放不进它的 SQL 类型: {_said(e)}; 请改列的 type 或标签 ansi/type"
            raise ViewError([Finding("view-type", "refuse", text)]) from e
        finally:
            file.unlink()

    def seal(self, *outputs: Path) -> None:
        """From now on no statement reaches the network or a file that is not named here."""
        paths = ", ".join(_quoted(str(p)) for p in outputs)
        self._connection.execute(f"SET allowed_paths = [{paths}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def query(self, sql: str) -> Table:
        """The result of a query, read in portions. Raises ViewError when the SQL is not understood."""
        with _told():
            result = self._result(sql)
            return Table(tuple(result.columns), tuple(str(t) for t in result.types), _portions(self._connection.execute(sql)))

    def parquet(self, sql: str, file: Path) -> None:
        """Writes the result of a query as Parquet. Raises ViewError when the SQL is not understood."""
        with _told():
            self._result(sql).write_parquet(str(file), compression="zstd")

    def _result(self, sql: str) -> duckdb.DuckDBPyRelation:
        result: duckdb.DuckDBPyRelation | None = self._connection.sql(sql)
        if result is None:
            raise ViewError([Finding("view-sql", "refuse", "--sql 应是一条查询(SELECT …)")])
        return result


@contextmanager
def opened() -> Iterator[Warehouse]:
    """An empty warehouse; its folder is removed at the end."""
    import duckdb  # slow to import, and few commands need it

    with tempfile.TemporaryDirectory(prefix="yifang-views-", ignore_cleanup_errors=True) as folder:
        connection = duckdb.connect(str(Path(folder) / "views.duckdb"), config=CONFIG)
        try:
            connection.execute(f"SET temp_directory = {_quoted(folder)}")
            yield Warehouse(connection, Path(folder))
        finally:
            connection.close()


def _portions(result: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    with _told():
        while portion := result.fetchmany(PORTION):
            yield from portion


@contextmanager
def _told() -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as e:
        raise ViewError([Finding("view-sql", "refuse", f"SQL 不能执行: {_said(e)}")]) from e


def _said(fault: Exception) -> str:
    """The first line of what DuckDB says."""
    return re.sub(r"\s+", " ", str(fault).partition("\n")[0])


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
