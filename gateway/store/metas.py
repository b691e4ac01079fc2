"""Which profiles, tags and security labels are in use, by type: a value that some resource carried, and the last one seen with it.

Looked through when somebody asks, from where the last one who asked came to (by commit sequence, so nothing is read twice). A value counts
as long as a resource carries it: the one that was noted, or another that a search finds; what nobody carries is noted as such until it is
seen again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from gateway.fhir.query import escape, parse_query
from gateway.store.database import Database
from gateway.store.events import horizon
from gateway.store.index import drive
from gateway.store.scope import Scope
from gateway.store.search import Found, Searcher
from gateway.store.search.page import current
from gateway.store.settlement import reading, writing

__all__ = ["Use", "in_use", "look_through"]

SEEN = "meta-use"
"""Setting that says how far each type was looked through."""
ROWS = 1000
STEP = 50_000
"""Resources that are read at a time, and after which the place is kept."""
NOBODY = 0
"""Instead of a resource: none carries the value. Resources are numbered from 1."""
PARAMETERS = {"profile": "_profile", "tag": "_tag", "security": "_security"}


class Use(NamedTuple):
    """A value that resources of a type carry or carried. kind: profile, tag or security. code: the profile's URL, else the code."""

    type: str
    kind: str
    system: str
    code: str


class _Meta(msgspec.Struct):
    meta: Any = None


_read = msgspec.json.Decoder(_Meta).decode


def look_through(database: Database, types: Iterable[str]) -> None:
    """Notes what resources of these types carry that were written since the last time."""
    places = _places(database)
    for type_ in types:
        after, read = places.get(type_, 0), STEP
        while read == STEP:
            noted, after, read = _step(database, type_, after)
            if read:
                _note(database, type_, noted, after)


def _note(database: Database, type_: str, noted: dict[Use, int], place: int) -> None:
    """Keeps what was seen and how far a type was looked through."""
    with writing(database) as raw:
        raw.lock([SEEN])
        raw.upsert("meta_use", ("type", "kind", "system", "code"), ("rid",), [(*use, rid) for use, rid in sorted(noted.items())])
        found = raw.rows("SELECT value FROM setting WHERE name = ?", [SEEN])
        places = _read_places(found)
        places[type_] = max(place, places.get(type_, 0))
        raw.upsert("setting", ("name",), ("value",), [(SEEN, msgspec.json.encode(places))])


def _places(database: Database) -> dict[str, int]:
    """Type -> commit sequence that it was looked through to."""
    with reading(database) as raw:
        return _read_places(raw.rows("SELECT value FROM setting WHERE name = ?", [SEEN]))


def _read_places(rows: Sequence[Any]) -> dict[str, int]:
    return msgspec.json.decode(bytes(rows[0][0]), type=dict[str, int]) if rows else {}


def _step(database: Database, type_: str, after: int) -> tuple[dict[Use, int], int, int]:
    """What the next resources carry (the last one seen with each value), the place of the last of them, and how many they are."""
    noted: dict[Use, int] = {}
    read, last = 0, after
    with database.engine.connect() as connection:
        below = horizon(connection)
        statement = "SELECT rid, seq, content FROM resource WHERE type = %s AND seq > %s AND seq < %s AND NOT deleted ORDER BY seq LIMIT %s"
        while read < STEP:
            rows = drive.run(connection, statement, (type_, last, below or 2**63 - 1, ROWS))
            for rid, _, content in rows:
                noted |= {use: rid for use, _ in _values(type_, _read(content).meta)}
            last = rows[-1][1] if rows else last
            read += len(rows)
            if len(rows) < ROWS:
                break
    return noted, last, read


def _values(type_: str, meta: Any) -> Iterator[tuple[Use, Any]]:
    """The values in a meta, each with what stands there: a URL, or a Coding with a code."""
    if not isinstance(meta, dict):
        return
    for url in _list(meta, "profile"):
        if isinstance(url, str):
            yield Use(type_, "profile", "", url), url
    for kind in ("tag", "security"):
        for coding in _list(meta, kind):
            if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                yield Use(type_, kind, str(coding.get("system", "")), coding["code"]), coding


def _list(meta: dict[str, Any], name: str) -> Sequence[Any]:
    found = meta.get(name)
    return found if isinstance(found, list) else ()


def in_use(database: Database, searcher: Searcher, types: Iterable[str], scope: Scope) -> dict[str, list[Any]]:
    """The sum of the metas of all current resources of these types: `profile`, `tag` and `security`, each value once, in order; an empty
    list is left out."""
    wanted = set(types)
    with reading(database) as raw:
        rows = raw.rows("SELECT type, kind, system, code, rid FROM meta_use ORDER BY kind, system, code, type")
    by_value: dict[tuple[str, str, str], list[tuple[Use, int]]] = {}
    for *said, rid in rows:
        use = Use(*said)
        if use.type in wanted and rid != NOBODY:
            by_value.setdefault(use[1:], []).append((use, rid))
    with database.engine.connect() as connection:
        held = {f.rid: f for f in current(connection, scope, [uses[0][1] for uses in by_value.values()])}
        found = {value: _carried(database, connection, searcher, scope, held, uses) for value, uses in by_value.items()}
    total: dict[str, list[Any]] = {}
    for (kind, _, _), shown in found.items():
        if shown is not None:
            total.setdefault(kind, []).append(shown)
    return total


def _carried(
    database: Database, connection: Connection, searcher: Searcher, scope: Scope, held: dict[int, Found], uses: Sequence[tuple[Use, int]]
) -> Any:
    """The value as a resource carries it, of any of the types; None when none does."""
    for use, rid in uses:
        witness = held.get(rid) or next(iter(current(connection, scope, [rid])), None)
        shown = _shown(witness, use)
        if shown is None:
            value = escape(use.code) if use.kind == "profile" else f"{escape(use.system)}|{escape(use.code)}"
            other = next(iter(searcher.search(connection, use.type, parse_query([(PARAMETERS[use.kind], value), ("_count", "1")]), scope).rows), None)
            shown = _shown(other, use)
            _replace(database, use, rid, NOBODY if other is None else other.rid)
        if shown is not None:
            return shown
    return None


def _shown(found: Found | None, use: Use) -> Any:
    """What stands in a resource's meta for a value; None when it is not there."""
    if found is None:
        return None
    return next((value for one, value in _values(use.type, _read(found.content).meta) if one == use), None)


def _replace(database: Database, use: Use, was: int, rid: int) -> None:
    """Notes another resource with a value, unless somebody noted one meanwhile."""
    with writing(database) as raw:
        raw.run("UPDATE meta_use SET rid = ? WHERE type = ? AND kind = ? AND system = ? AND code = ? AND rid = ?", [rid, *use, was])
