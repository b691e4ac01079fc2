"""Rows of many resources at once, by (type, id): one statement a type, so that an index on (…, type, id) serves both engines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from gateway.store.raw import Raw

__all__ = ["Name", "rows_of", "run_of"]

Name = tuple[str, str]
"""(type, id) of a resource."""


def rows_of(raw: Raw, sql: str, names: Iterable[Name], *first: Any) -> list[Any]:
    """Rows of `SELECT … WHERE … type = ? AND id {}` for these names. first: values of the marks before that of the type."""
    found: list[Any] = []
    for type_, among, ids in _types(raw, names):
        found += raw.rows(sql.format(among), (*first, type_, ids))
    return found


def run_of(raw: Raw, sql: str, names: Iterable[Name], *first: Any) -> int:
    """Runs `DELETE … WHERE … type = ? AND id {}` or the like for these names; how many rows it touched."""
    return sum(raw.run(sql.format(among), (*first, type_, ids)) for type_, among, ids in _types(raw, names))


def _types(raw: Raw, names: Iterable[Name]) -> list[tuple[str, str, Any]]:
    among = "IN (SELECT value FROM json_each(?))" if raw.sqlite else "= ANY(?)"
    groups = ((type_, [id_ for _, id_ in group]) for type_, group in groupby(sorted(set(names)), itemgetter(0)))
    return [(type_, among, json.dumps(ids) if raw.sqlite else ids) for type_, ids in groups]
