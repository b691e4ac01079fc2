"""Rows of many resources at once, by (type, id): one statement, whose every name is looked up in an index that begins with (…, type, id)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.store.raw import Raw

__all__ = ["Name", "rows_of"]

Name = tuple[str, str]
"""(type, id) of a resource."""

_SQLITE = "(SELECT json_extract(value, '$[0]') AS type, json_extract(value, '$[1]') AS id FROM json_each(?))"
_POSTGRESQL = "(SELECT * FROM unnest(?::text[], ?::text[]) AS pair(type, id))"


def rows_of(raw: Raw, sql: str, names: Iterable[Name], *others: Any) -> list[Any]:
    """Rows of `SELECT … FROM {} n CROSS JOIN … WHERE …`, where `n.type` and `n.id` run over these names: SQLite keeps that order of the
    tables. others: values of the marks that follow."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    if raw.sqlite:
        return raw.rows(sql.format(_SQLITE), (json.dumps(wanted), *others))
    types, ids = ([name[part] for name in wanted] for part in (0, 1))
    return raw.rows(sql.format(_POSTGRESQL), (types, ids, *others))
