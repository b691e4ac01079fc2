"""The newest Observations of each kind.

https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.fhir.bundle import searchset
from gateway.fhir.json import decode
from gateway.fhir.query import parse_query
from gateway.http.call import Call, Reply
from gateway.http.parameters import given
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.searching import query_text
from gateway.store.search import Found

PAGE = "500"
MOST = 20_000
"""Observations that are looked at; more is too costly."""
CONTROLS = ("max", "_format", "_pretty", "_count", "_sort", "_summary", "_elements")
ABOUT = ("patient", "subject")


@operation("lastn", "type", types=("Observation",), definition="http://hl7.org/fhir/OperationDefinition/Observation-lastn", lasting=True)
async def lastn(call: Call) -> Reply:
    """200 with a searchset of at most `max` (1) Observations of each code, newest first. `patient` or `subject` is needed; other search
    parameters narrow. Codes that share a coding are one kind. 400 without a resident, 403 `too-costly` above MOST."""
    pairs = given(call)
    if not any(k.partition(":")[0] in ABOUT and v for k, v in pairs):
        raise Problem(400, "required", "$lastn 需要 patient 或 subject 参数", "$lastn needs the parameter patient or subject", "patient")
    most = _max(next((v for k, v in pairs if k == "max"), "1"))
    criteria = [(k, v) for k, v in pairs if k not in CONTROLS]
    rows = await asyncio.to_thread(_newest, call, criteria, most)
    links = [("self", call.here + query_text(pairs))]
    return Reply(200, searchset(call.root, ((r.type, r.id, r.content) for r in rows), links, len(rows)))


def _max(text: str) -> int:
    if not text.isdecimal() or len(text) > 9 or not 0 < int(text) <= 1000:
        raise Problem(400, "value", "max 应为 1 到 1000 的整数", "max should be a whole number from 1 to 1000", "max")
    return int(text)


def _newest(call: Call, criteria: list[tuple[str, str]], most: int) -> list[Found]:
    """Goes through all that match, newest first."""
    kinds: dict[object, list[Found]] = {}  # (system, code) or text -> the kind's Observations; one list for codes that were seen together
    order: list[list[Found]] = []
    looked = 0
    cursor: str | None = None
    query = parse_query([*criteria, ("_sort", "-date"), ("_count", PAGE)])
    with call.backend.database.engine.connect() as connection:
        while True:
            page = call.backend.searcher.search(connection, "Observation", query, call.scope, cursor)
            if page.ignored:
                names = "、".join(page.ignored)
                raise Problem(400, "not-supported", f"Observation 没有这些检索参数: {names}", f"Observation has no such search parameters: {names}")
            for row in page.rows:
                _sort_in(kinds, order, row, most)
            looked += len(page.rows)
            if looked > MOST:
                zh = f"符合条件的 Observation 超过 {MOST} 份; 请加上 code、category 或 date"
                raise Problem(403, "too-costly", zh, f"More than {MOST} Observations match; add code, category or date")
            cursor = page.next
            if cursor is None:
                return [row for kind in order for row in kind]


def _sort_in(kinds: dict[object, list[Found]], order: list[list[Found]], row: Found, most: int) -> None:
    keys = _codes(decode(row.content).get("code"))
    kind = next((kinds[k] for k in keys if k in kinds), None)
    if kind is None:
        kind = []
        order.append(kind)
    for k in keys:
        kinds.setdefault(k, kind)
    if len(kind) < most:
        kind.append(row)


def _codes(code: Any) -> list[object]:
    codings = code.get("coding", ()) if isinstance(code, dict) else ()
    keys: list[object] = [(c.get("system"), c["code"]) for c in codings if isinstance(c, dict) and "code" in c]
    return keys or [str(code.get("text", "")) if isinstance(code, dict) else ""]
