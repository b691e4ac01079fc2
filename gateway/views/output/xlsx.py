"""A table as a workbook of one sheet. Texts are written as texts: no cell becomes a formula."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.errors import Finding
from gateway.views.definition import ViewError
from gateway.views.output.values import as_text
from gateway.views.table import Table

__all__ = ["write_xlsx"]

ROWS, LONGEST, DIGITS = 1_048_575, 32_767, 15
"""What a sheet can hold: rows below the heading, characters of a cell, digits of a number."""


def write_xlsx(table: Table, file: Path) -> int:
    """Writes the rows; their number. Raises ViewError for what a workbook cannot hold."""
    import xlsxwriter  # slow to import

    count = 0
    options = {"constant_memory": True, "strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        bold = book.add_format({"bold": True})
        for column, name in enumerate(table.names):
            sheet.write_string(0, column, name, bold)
        for row in table.rows:
            count += 1
            if count > ROWS:
                raise _beyond(f"行数超过 {ROWS}")
            for column, value in enumerate(row):
                _write(sheet, count, column, value)
    return count


def _write(sheet: Any, row: int, column: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float | Decimal) and _exact(value):
        sheet.write_number(row, column, value)
    else:
        text = as_text(value)
        if len(text) > LONGEST:
            raise _beyond(f"第 {row + 1} 行第 {column + 1} 列的文字超过 {LONGEST} 字")
        sheet.write_string(row, column, text)


def _exact(value: float | Decimal) -> bool:
    """Whether a cell keeps the number: one with more digits is written as text."""
    return isinstance(value, float) or len(Decimal(value).as_tuple().digits) <= DIGITS


def _beyond(what: str) -> ViewError:
    return ViewError([Finding("view-output", "refuse", f"XLSX 放不下: {what}; 请改用 --format csv 或 parquet")])
