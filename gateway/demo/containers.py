"""Vendors' records in the containers they travel in: workbook, CSV, rows of a front-end database, JSON body."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
import xlsxwriter

from gateway.demo.vendor import Flat, Vendor
from gateway.record import Fields

__all__ = ["delimited", "fill_views", "json_batch", "make_views", "workbook"]


MADE = datetime(2026, 1, 1)


def workbook(tables: Mapping[str, tuple[Vendor, Sequence[Fields]]], title: str = "") -> bytes:
    """An XLSX with one sheet for each vendor's table, below a title row where there is a title."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_numbers": False}) as book:
        book.set_properties({"created": MADE})  # else the clock stands in the file, and the same seed gives other bytes
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


def make_views(connection: sa.Connection, vendor: Vendor) -> None:
    """Makes the vendor's views, which stand as tables, where they are not there yet. Column names come from the built-in profile."""
    view = str(vendor.options["view"])
    _create(connection, view, vendor.columns(), [str(c) for c in vendor.options["key"]])
    for child, (columns, on) in vendor.joins().items():
        _create(connection, child, columns, [c for c, _ in on])


def fill_views(connection: sa.Connection, vendor: Vendor, records: Iterable[Fields]) -> None:
    """Puts records into the vendor's views; a record of the same key replaces the former one with its children. Values are bound."""
    view = str(vendor.options["view"])
    key = [str(c) for c in vendor.options["key"]]
    joins = vendor.joins()
    make_views(connection, vendor)
    latest = {tuple(r.get(k) for k in vendor.profile["key"]): r for r in records}
    rows = {number: vendor.rows(record) for number, record in enumerate(latest.values())}
    children = [vendor.children(record) for record in latest.values()]
    flat = [row for found in rows.values() for row in found]
    _delete(connection, view, key, flat)
    _insert(connection, view, vendor.columns(), flat)
    for child, (columns, on) in joins.items():
        _delete(connection, child, [c for c, _ in on], [{c: found[0].get(p, "") for c, p in on} for found in rows.values()])
        _insert(connection, child, columns, [row for found in children for row in found.get(child, [])])


def _create(connection: sa.Connection, name: str, columns: Iterable[str], key: Sequence[str]) -> None:
    if not sa.inspect(connection).has_table(name):
        table = sa.Table(name, sa.MetaData(), *(sa.Column(c, sa.Text) for c in dict.fromkeys(columns)))
        table.create(connection)
        sa.Index(f"{name}_key", *(table.c[c] for c in key)).create(connection)


def _delete(connection: sa.Connection, name: str, key: Sequence[str], rows: Sequence[Flat]) -> None:
    if rows:
        table = sa.table(name, *(sa.column(c) for c in key))
        where = (table.c[c].is_not_distinct_from(sa.bindparam(f"key_{n}")) for n, c in enumerate(key))
        connection.execute(sa.delete(table).where(*where), [{f"key_{n}": row.get(c) for n, c in enumerate(key)} for row in rows])


def _insert(connection: sa.Connection, name: str, columns: Sequence[str], rows: Sequence[Flat]) -> None:
    if rows:
        names = list(dict.fromkeys(columns))
        connection.execute(sa.insert(sa.table(name, *(sa.column(c) for c in names))), [{c: row.get(c) for c in names} for row in rows])
