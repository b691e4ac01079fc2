"""Tables as files: every value comes back as it was."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from gateway.views.definition import ViewError
from gateway.views.output import WRITERS, xlsx
from gateway.views.sql import opened
from gateway.views.table import Table

NAMES = ("id", "n", "b", "text", "many", "object")
TYPES = ("VARCHAR", "DOUBLE", "BOOLEAN", "VARCHAR", "VARCHAR[]", "JSON")
ROWS: list[tuple[Any, ...]] = [
    ("a", Decimal("5.60"), True, '说 "好",\n换行', ["x", "y"], {"value": Decimal("1.50")}),
    ("b", None, False, "=1+1", [], None),
    ("c", 7, None, None, None, None),
]


def table() -> Table:
    """Three rows of every kind of value."""
    return Table(NAMES, TYPES, iter(ROWS))


def written(form: str) -> str:
    """What a writer writes to a stream."""
    stream = io.BytesIO()
    assert WRITERS[form](table(), stream) == 3
    return stream.getvalue().decode()


def test_csv_keeps_the_digits_of_decimals() -> None:
    rows = list(csv.reader(io.StringIO(written("csv"), newline="")))
    assert rows[0] == list(NAMES)
    assert rows[1] == ["a", "5.60", "true", '说 "好",\n换行', '["x","y"]', '{"value":1.50}']
    assert rows[2:] == [["b", "", "false", "=1+1", "[]", ""], ["c", "7", "", "", "", ""]]


def test_json_and_ndjson_are_the_same_objects() -> None:
    lines = [json.loads(line, parse_float=Decimal) for line in written("ndjson").splitlines()]
    assert lines == [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    assert '"n":5.60' in written("ndjson")
    assert json.loads(written("json"), parse_float=Decimal) == lines
    empty = io.BytesIO()
    WRITERS["json"](Table(NAMES, TYPES, ()), empty)
    assert json.loads(empty.getvalue()) == []


def test_what_sql_adds_to_json_is_written_as_text() -> None:
    stream = io.BytesIO()
    WRITERS["ndjson"](Table(("d", "s"), ("DATE", "STRUCT"), [(date(2026, 1, 31), {"a": (date(2026, 1, 1),)})]), stream)
    assert json.loads(stream.getvalue()) == {"d": "2026-01-31", "s": {"a": ["2026-01-01"]}}


def test_a_workbook_has_texts_numbers_and_no_formulas(tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    assert xlsx.write_xlsx(table(), file) == 3
    sheet = openpyxl.load_workbook(file).active
    assert sheet is not None
    cells = [[c.value for c in row] for row in sheet.iter_rows()]
    assert cells[0] == list(NAMES)
    assert cells[1] == ["a", 5.6, True, '说 "好",\n换行', '["x","y"]', '{"value":1.50}']
    assert cells[2][:4] == ["b", None, False, "=1+1"] and sheet["D3"].data_type == "s"


def test_a_number_with_more_digits_than_a_cell_keeps_is_text(tmp_path: Path) -> None:
    xlsx.write_xlsx(Table(("n",), ("BIGINT",), [(9007199254740993,), (Decimal("1.2345678901234567"),)]), tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert sheet is not None and [sheet["A2"].value, sheet["A3"].value] == ["9007199254740993", "1.2345678901234567"]


def test_what_a_workbook_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ViewError, match="第 2 行第 1 列的文字超过 32767 字"):
        xlsx.write_xlsx(Table(("t",), ("VARCHAR",), [("长" * 32768,)]), tmp_path / "a.xlsx")
    monkeypatch.setattr(xlsx, "ROWS", 2)
    with pytest.raises(ViewError, match="行数超过 2"):
        xlsx.write_xlsx(table(), tmp_path / "b.xlsx")


def test_sql_over_a_view_and_parquet(tmp_path: Path) -> None:
    file = tmp_path / "o'clock.parquet"
    with opened() as warehouse:
        warehouse.load("t", table())
        warehouse.seal(file)
        result = warehouse.query("SELECT * FROM t ORDER BY id")
        assert (result.names, result.types) == (NAMES, TYPES)
        assert [row[:5] for row in result.rows] == [(i, None if n is None else float(n), *rest) for i, n, *rest, _ in ROWS]
        warehouse.parquet("SELECT id, n FROM t WHERE b", file)
    with opened() as warehouse:
        assert list(warehouse.query(f"SELECT * FROM '{str(file).replace(chr(39), chr(39) * 2)}'").rows) == [("a", 5.6)]


def test_a_query_reaches_no_file_and_no_network(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", "utf-8")
    with opened() as warehouse:
        warehouse.load("t", table())
        warehouse.seal()
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM '{secret}'",
            f"COPY t TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(ViewError, match="SQL"):
                list(warehouse.query(sql).rows)
    assert [p.name for p in tmp_path.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM nobody", "CREATE TABLE x (a INTEGER)", "SELECT 1/0::INTEGER::VARCHAR::DATE"])
def test_sql_that_is_no_query_is_refused(sql: str) -> None:
    with opened() as warehouse, pytest.raises(ViewError, match=r"SQL|查询"):
        list(warehouse.query(sql).rows)


def test_a_value_that_its_sql_type_cannot_hold_is_refused() -> None:
    with opened() as warehouse, pytest.raises(ViewError, match="视图 t 的值放不进"):
        warehouse.load("t", Table(("d",), ("DATE",), [("2026-01",)]))
