"""The one way in: `Searcher.search(connection, type, query, scope, cursor) -> Page` (https://hl7.org/fhir/R4/search.html).

Paging is by keyset: a cursor holds the sort values and the rid of the last resource shown, signed, bound to caller and query. Under writes
and index merges every resource that matches throughout, with an unchanged sort key, appears exactly once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from sqlalchemy import Connection

from gateway.errors import Finding, Refused
from gateway.fhir.query import Query
from gateway.store.index import drive
from gateway.store.index.keys import Indexer, default_indexer
from gateway.store.index.match.row import PostingRange, Row
from gateway.store.index.spans import HIGHEST
from gateway.store.scope import Scope
from gateway.store.search import includes
from gateway.store.search.cursor import Place, Seal
from gateway.store.search.guard import Guard, Limits
from gateway.store.search.page import Compartment, Page, current
from gateway.store.search.question import Question
from gateway.store.search.run import Run

__all__ = ["Searcher", "holders", "search"]


class Searcher:
    """Searches one store. indexer: the one its writer uses. secret: signs cursors (the deployment key). limits: what one search may cost.
    now: a monotonic clock in seconds."""

    def __init__(
        self, indexer: Indexer, secret: bytes = b"yifang cursor", limits: Limits | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.indexer = indexer
        self._secret = secret
        self._limits = limits or Limits()
        self._now = now

    def search(
        self, connection: Connection, type_: str, query: Query, scope: Scope, cursor: str | None = None, within: Compartment | None = None
    ) -> Page:
        """One page of the current resources that match.

        type_: one resource type, or "" for those of `_type` (all types that the store holds, when there is none). within: keeps the search
        to a compartment. Raises Refused with the finding that the caller is told (`too-costly`, `unknown-type`, `bad-…`, `unsupported-…`).
        """
        run = Run(connection, self.indexer, scope, Guard(self._limits, self._now))
        types = self._types(connection, type_, query, within)
        question = run.question(types, query.criteria, query.sort, within)
        unknown = includes.unknown(run, query.includes)
        question.ignored += [one.text for one in unknown]
        seal = Seal(self._secret, (scope.caller, type_, query.types, within, [(c.name, c.values) for c in query.criteria], _order(question)))
        after = seal.place(cursor) if cursor else None
        places, total = self._places(run, question, query, after)
        shown = places[: query.count]
        following = seal.cursor(shown[-1]) if shown and len(places) > query.count else None
        rows = current(connection, scope, [place.rid for place in shown])
        added = includes.included(run, [one for one in query.includes if one not in unknown], rows) if query.includes and rows else []
        ignored = tuple(question.ignored)
        return Page(rows, total, following, ignored, tuple(added), _applied(query, ignored))

    def _types(self, connection: Connection, type_: str, query: Query, within: Compartment | None) -> Sequence[str]:
        types = [type_] if type_ else list(query.types)
        if not types:
            members = self.indexer.r4.compartment(within.type) if within is not None else None
            types = [one for one in _held(connection) if members is None or one in members]
        for one in types:
            if not self.indexer.r4.is_resource(one):
                raise Refused(Finding("unknown-type", "refuse", f"FHIR R4 没有资源类型 {one}; 请检查大小写", source=one))
        return types

    def _places(self, run: Run, question: Question, query: Query, after: Place | None) -> tuple[list[Place], int | None]:
        """The page's places, one more than asked when there is more, and the total where it is known or asked for."""
        wanted = query.count + 1
        candidates = run.candidates(question)
        if candidates is not None:
            return run.least(question, [run.matching(question, candidates)], after, wanted)
        with run.guard.watching(run.connection):
            return self._wide(run, question, query, after)

    def _wide(self, run: Run, question: Question, query: Query, after: Place | None) -> tuple[list[Place], int | None]:
        """The same where every driver leads to many rows."""
        wanted = query.count + 1
        total = run.count(question) if query.total == "accurate" or query.count == 0 else None
        if query.count == 0:
            return [], total
        by = question.order.first.by
        if by not in ("t", "time"):
            places, known = run.least(question, run.rows(question), after, wanted)
            return places, known if total is None else total
        places = []
        for group in self._in_order(run, question, after):
            places += group
            if len(places) >= wanted:
                return places[:wanted], total
        return places, len(places) if total is None and after is None else total

    def _in_order(self, run: Run, question: Question, after: Place | None) -> Iterator[list[Place]]:
        """Places behind `after`, in order: postings give the order of the first sort key, equal ones are sorted by the others."""
        order = question.order
        first, alone = order.first, len(order.keys) == 1
        start: tuple[int, int] | None = None
        if after is not None:
            value = after.values[0]
            assert isinstance(value, int)
            start = (value, after.rid) if alone else (value, HIGHEST if first.descending else -HIGHEST)
        group: list[Row] = []
        for rows in run.rows(question, first.by, first.descending, start):
            if alone:
                yield list(run.places(question, rows))
                continue
            for row in rows:
                if group and _first(group[-1], first.by) != _first(row, first.by):
                    yield self._sorted(run, question, group, after)
                    group = []
                group.append(row)
        yield self._sorted(run, question, group, after)

    def _sorted(self, run: Run, question: Question, group: Sequence[Row], after: Place | None) -> list[Place]:
        order = question.order
        return sorted((p for p in run.places(question, group) if order.beyond(p, after)), key=order.rank)


def _first(row: Row, by: str) -> int:
    return row.t if by == "t" else row.time


def _order(question: Question) -> list[tuple[str, bool]]:
    return [(key.code, key.descending) for key in question.order.keys]


def _applied(query: Query, ignored: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs that were understood; of `_sort`, the keys that were."""
    pairs = []
    for name, value in query.pairs:
        if name == "_sort":
            known = [code for code in value.split(",") if code and f"_sort={code.removeprefix('-')}" not in ignored]
            pairs += [(name, ",".join(known))] if known else []
        elif name not in ignored and f"{name}={value}" not in ignored:
            pairs.append((name, value))
    return tuple(pairs)


def _held(connection: Connection) -> list[str]:
    """Types that the store holds, one step down the index for each."""
    statement = (
        "WITH RECURSIVE t(n) AS (SELECT min(type) FROM resource UNION ALL "
        "SELECT (SELECT min(type) FROM resource WHERE type > n) FROM t WHERE n IS NOT NULL) SELECT n FROM t WHERE n IS NOT NULL"
    )
    return [row[0] for row in drive.run(connection, statement, ())]


def holders(connection: Connection, type_: str, system: str | None, value: str, scope: Scope, indexer: Indexer | None = None) -> list[int]:
    """Rids of the resources of a type that carry this identifier, exactly (system None: whatever it is), in order."""
    key = (indexer or default_indexer()).key(type_, "identifier", value)
    return drive.identified(connection, drive.fetch(connection, [PostingRange(key), PostingRange(key | 1)], HIGHEST - 1), system, value)


@lru_cache(maxsize=1)
def _default() -> Searcher:
    return Searcher(default_indexer())


def search(connection: Connection, type_: str, query: Query, scope: Scope, cursor: str | None = None) -> Page:
    """`Searcher.search` with the built-in index and cursors that are not signed with a deployment's key."""
    return _default().search(connection, type_, query, scope, cursor)
