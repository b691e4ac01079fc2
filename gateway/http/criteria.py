"""Criteria of conditional interactions (https://hl7.org/fhir/R4/http.html#ccreate): searches that must be understood whole."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from gateway.fhir.query import parse_query
from gateway.http.addresses import both
from gateway.http.call import Call
from gateway.http.problems import Problem
from gateway.store.api.asks import Wrote
from gateway.store.api.conditions import Conditions

__all__ = ["CONTROLS", "canonical", "conditions", "fetch", "find", "find_now"]

CONTROLS = frozenset({"_format", "_pretty", "_summary", "_elements", "_count", "_sort", "_total", "_include", "_revinclude"})


def canonical(text: str) -> str:
    """Criteria in one form: parameters decoded, sorted, and without what shapes answers only. Problem 412 when nothing is left."""
    pairs = [(k, v) for k, v in parse_qsl(text.partition("?")[2] if "?" in text else text, keep_blank_values=True)]
    kept = sorted((k, v) for k, v in pairs if k.partition(":")[0] not in CONTROLS and v.strip(","))
    if not kept:
        zh = "条件是空的, 会涉及所有资源; 请给出检索条件, 例如 identifier=系统|值"
        raise Problem(412, "required", zh, "The criteria are empty and would concern every resource; give some, for example identifier=system|value")
    return urlencode(kept)


def find(call: Call, type_: str, criteria: str) -> Sequence[str]:
    """Ids of current resources that match, at most two. Problem 412 for a parameter that is not understood: passed over, it would widen the
    match."""
    backend = call.backend
    pairs = [(k, both(call, v)) for k, v in parse_qsl(criteria, keep_blank_values=True)]
    with backend.database.engine.connect() as connection:
        page = backend.searcher.search(connection, type_, parse_query([*pairs, ("_count", "2")]), call.scope)
    if page.ignored:
        names = "、".join(page.ignored)
        zh, en = f"{type_} 没有这些检索参数: {names}; 条件必须全部有效", f"{type_} has no such search parameters: {', '.join(page.ignored)}"
        raise Problem(412, "not-supported", zh, en)
    return [row.id for row in page.rows]


async def find_now(call: Call, type_: str, criteria: str) -> Sequence[str]:
    """The same, off the event loop."""
    return await call.backend.searching(lambda: find(call, type_, criteria))


def fetch(call: Call, type_: str, id_: str) -> Wrote | None:
    """The current version, as a conditional create answers with it."""
    found = call.backend.reads.current(type_, id_, call.scope)
    return None if found is None or found[2] else Wrote(type_, id_, found[0], found[1], "found", found[3])


def conditions(call: Call) -> Conditions:
    """What decides a conditional interaction inside the writer."""
    return Conditions(lambda type_, criteria: find(call, type_, criteria), lambda type_, id_: fetch(call, type_, id_))
