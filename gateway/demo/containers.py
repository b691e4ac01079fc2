"""Vendors' records in the containers they travel in: workbook, CSV, rows of a front-end database, JSON body."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
import xlsxwriter

from gateway.demo.vendor import Flat, Vendor
from gateway.record import Fields

__all__ = ["delimited", "fill_views", "json_batch", "workbook"]


def workbook(tables: Mapping[str, tuple[Vendor, Sequence[Fields]]], title: str = "") -> bytes:
    """An XLSX with one sheet for each vendor's table, below a title row where there is a title."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_numbers": False}) as book:
        for name, (vendor, records) in tables.items():
            sheet = book.add_worksheet(name)
            columns = vendor.columns()
            if title:
                sheet.merge_range(0, 0, 0, max(1, len(columns) - 1), title)
            rows = [row for record in records for row in vendor.rows(record)]
            for number, row in enumerate([dict(zip(columns, columns, strict=True)), *rows], 1 if title else 0):
                for at, column in enumerate(columns):
                    if column in row:
                        sheet.write_string(number, at, row[column])
    return stream.getvalue()


def delimited(vendor: Vendor, records: Iterable[Fields], charset: str = "utf-8-sig") -> bytes:
    """A CSV file in the charset the vendor exports."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, vendor.columns(), restval="")
    writer.writeheader()
    for record in records:
        writer.writerows(vendor.rows(record))
    return text.getvalue().encode(charset)


def json_batch(vendor: Vendor, records: Iterable[Fields]) -> bytes:
    """A JSON array of the vendor's objects."""
    return json.dumps([vendor.tree(record) for record in records], ensure_ascii=False).encode()


def fill_views(engine: sa.Engine, vendor: Vendor, records: Iterable[Fields]) -> None:
    """Puts records into the vendor's views, which stand as tables; a record of the same key replaces the former one with its children.

    Column names come from the built-in profile, values are bound.
    """
    view = str(vendor.options["view"])
    key = [str(c) for c in vendor.options["key"]]
    joins = vendor.joins()
    with engine.begin() as connection:
        _create(connection, view, vendor.columns())
        for child, (columns, _) in joins.items():
            _create(connection, child, columns)
        for record in records:
            rows = vendor.rows(record)
            for row in rows:
                _delete(connection, view, {c: row.get(c, "") for c in key})
            for child, (_, on) in joins.items():
                _delete(connection, child, {c: rows[0].get(p, "") for c, p in on})
            _insert(connection, view, rows)
            for child, found in vendor.children(record).items():
                _insert(connection, child, found)


def _table(name: str, columns: Iterable[str]) -> sa.TableClause:
    return sa.table(name, *(sa.column(c) for c in columns))


def _create(connection: sa.Connection, name: str, columns: Iterable[str]) -> None:
    if not sa.inspect(connection).has_table(name):
        sa.Table(name, sa.MetaData(), *(sa.Column(c, sa.Text) for c in dict.fromkeys(columns))).create(connection)


def _delete(connection: sa.Connection, name: str, where: Flat) -> None:
    table = _table(name, where)
    connection.execute(sa.delete(table).where(*(sa.func.coalesce(table.c[c], "") == v for c, v in where.items())))


def _insert(connection: sa.Connection, name: str, rows: Sequence[Flat]) -> None:
    for row in rows:
        connection.execute(sa.insert(_table(name, row)).values(row))
