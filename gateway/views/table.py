"""A table: named columns with SQL types, and rows that are read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.views.columns import is_primitive
from gateway.views.definition import Column
from gateway.views.view import Row

__all__ = ["Table", "sql_type"]

_SQL = {"boolean": "BOOLEAN", "integer": "INTEGER", "positiveInt": "INTEGER", "unsignedInt": "INTEGER", "integer64": "BIGINT", "decimal": "DOUBLE"}
"""Types of FHIR's primitives; the others are texts (https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#type-hinting-with-tags)."""


@dataclass(frozen=True, slots=True)
class Table:
    """names: of the columns; types: their SQL types."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: Iterable[Row]


def sql_type(column: Column) -> str:
    """The SQL type of a column: what its tag `ansi/type` says, else that of its FHIR type; objects are JSON."""
    if column.sql:
        held = column.sql
    elif column.type and not is_primitive(column.type):
        held = "JSON"
    else:
        name = column.type.removeprefix("System.")
        held = _SQL.get(name[:1].lower() + name[1:], "VARCHAR")
    return f"{held}[]" if column.collection else held
