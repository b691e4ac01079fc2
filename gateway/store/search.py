"""The one way in: `search(connection, type, query, scope, cursor) -> Page` (https://hl7.org/fhir/R4/search.html).

A search starts from the most selective key of the query and decides everything else from the row's own keys. Where a key leads to few
rows, all are read, and the total is known. Otherwise postings are streamed in the order asked for until the page is full.

Order: the type's main date, newest first, unless `_sort` asks for `_lastUpdated` or the main date itself; ties by rid. A cursor holds the
last (value, rid) seen and is bound to caller, type and query: under writes and merges every resource that matches throughout appears once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from gateway.errors import Finding, Refused
from gateway.fhir.query import Criterion, Query
from gateway.store.index import drive
from gateway.store.index.keys import Indexer, Plan, default_indexer
from gateway.store.index.match import Condition, Driver, PostingRange, Row, compile_criterion
from gateway.store.index.spans import HIGHEST, LOWEST
from gateway.store.scope import Scope

__all__ = ["Found", "Page", "Searcher", "holders", "search"]

FEW = 500
"""A driver that leads to fewer rows than this is read whole."""
BUDGET = 200_000
"""Rows that one search may look at."""


class Found(NamedTuple):
    """One resource of a page: its current version."""

    rid: int
    type: str
    id: str
    version: int
    time: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page. total: how many match, None when that was not counted. next: cursor of the following page, None at the end.

    ignored: parameters and sort keys that R4 does not know for the type (`handling=strict` makes them an error at the edge).
    """

    rows: list[Found]
    total: int | None
    next: str | None
    ignored: tuple[str, ...] = ()


class Place(NamedTuple):
    """Where a page ended: sort value and rid."""

    value: int
    rid: int


@dataclass(frozen=True, slots=True)
class _Order:
    """by: `t` (main date) or `time` (_lastUpdated)."""

    by: str
    descending: bool

    def of(self, row: Row) -> Place:
        return Place(row.t if self.by == "t" else row.time, row.rid)

    def beyond(self, place: Place, after: Place | None) -> bool:
        return after is None or (place < after if self.descending else place > after)


@dataclass(slots=True)
class _Question:
    """A compiled search."""

    plan: Plan
    order: _Order
    conditions: list[Condition] = field(default_factory=list)
    ids: set[str] | None = None
    ignored: list[str] = field(default_factory=list)

    def matches(self, row: Row) -> bool:
        return all(condition.test(row) for condition in self.conditions)


class _Bounds(NamedTuple):
    """What all criteria together say of the t of short and of long resources, and of the time of writing."""

    short: tuple[int, int]
    long: tuple[int, int]
    written: tuple[int, int]

    @classmethod
    def of(cls, conditions: Sequence[Condition]) -> _Bounds:
        main = [c.bounds for c in conditions if c.bounds is not None]
        return cls(_meet(b[0] for b in main), _meet(b[1] for b in main), _meet(c.written for c in conditions if c.written is not None))

    def narrowed(self, driver: Driver, plan: Plan) -> Driver:
        """The driver with its postings cut to the bounds."""
        ranges = [r for r in driver if isinstance(r, PostingRange)]
        if len(ranges) < len(driver):
            return driver
        return [self._cut(range_, plan) for range_ in ranges]

    def _cut(self, range_: PostingRange, plan: Plan) -> PostingRange:
        low, high = self.written if range_.key == plan.updated_key else self.long if range_.key & 1 else self.short
        return PostingRange(range_.key, max(range_.low, low), min(range_.high, high))


def _meet(spans: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The part that all spans share."""
    low, high = LOWEST, HIGHEST
    for first, last in spans:
        low, high = max(low, first), min(high, last)
    return low, high


class Searcher:
    """Searches one store. indexer: the one its writer uses. secret: signs cursors (the deployment key)."""

    def __init__(self, indexer: Indexer, secret: bytes = b"yifang cursor", budget: int = BUDGET, few: int = FEW) -> None:
        self.indexer = indexer
        self._secret = secret
        self._budget = budget
        self._few = few

    def search(self, connection: Connection, type_: str, query: Query, scope: Scope, cursor: str | None = None) -> Page:
        """One page of the current resources of a type that match. Raises Refused with the finding that the caller is told."""
        question = self._question(type_, query)
        after = self._place(cursor, type_, query, scope) if cursor else None
        candidates = self._few_candidates(connection, question)
        total: int | None
        if candidates is not None:
            places, total = self._from_candidates(connection, question, candidates, after, query.count)
        else:
            places, total = self._from_stream(connection, question, after, query)
        more = len(places) > query.count
        shown = places[: query.count]
        following = self._cursor(shown[-1], type_, query, scope) if more and shown else None
        return Page(_resources(connection, [p.rid for p in shown]), total, following, tuple(question.ignored))

    def _question(self, type_: str, query: Query) -> _Question:
        """Criteria as conditions, the order; what R4 does not know of this type is put aside."""
        if not self.indexer.r4.is_resource(type_):
            raise Refused(Finding("unknown-type", "refuse", f"FHIR R4 没有资源类型 {type_}; 请检查大小写", source=type_))
        plan = self.indexer.plan(type_)
        ignored: list[str] = []
        order = _Order("t", True)
        for key in query.sort[:1]:
            if key.code == "_lastUpdated":
                order = _Order("time", key.descending)
            elif key.code in plan.fields and plan.main and {s for s, _ in plan.fields[key.code].slots} == plan.main:
                order = _Order("t", key.descending)
            else:
                ignored.append(f"_sort={key.code}")
        ignored += [f"_sort={key.code}" for key in query.sort[1:]]
        question = _Question(plan, order, ignored=ignored)
        for criterion in query.criteria:
            self._criterion(question, criterion)
        return question

    def _criterion(self, question: _Question, criterion: Criterion) -> None:
        if criterion.code == "_id":
            wanted = set(criterion.values)
            question.ids = wanted if question.ids is None else question.ids & wanted
        elif criterion.code == "_lastUpdated" or question.plan.fields.get(criterion.code):
            question.conditions.append(compile_criterion(self.indexer, question.plan, criterion))
        else:
            question.ignored.append(criterion.name)

    def _few_candidates(self, connection: Connection, question: _Question) -> set[int] | None:
        """Rids among which every match is, when there are few; None when every driver leads to many."""
        if question.ids is not None:
            return _rids(connection, question.plan.type, sorted(question.ids))
        best: Driver | None = None
        least = self._few
        for driver in self._drivers(question):
            size = drive.count(connection, driver, least)
            if size < least:
                best, least = driver, size
        return None if best is None else drive.fetch(connection, best, self._few)

    def _drivers(self, question: _Question) -> Iterator[Driver]:
        """What can drive the search, narrowed by the main date; at last the whole type."""
        plan, bounds = question.plan, _Bounds.of(question.conditions)
        for condition in question.conditions:
            if condition.driver is not None:
                yield bounds.narrowed(condition.driver, plan)
        yield bounds.narrowed([PostingRange(plan.type_key), PostingRange(plan.type_key | 1)], plan)

    def _from_candidates(
        self, connection: Connection, question: _Question, candidates: Iterable[int], after: Place | None, count: int
    ) -> tuple[list[Place], int]:
        """Page (one more than asked, when there is more) and total from all candidates."""
        order = question.order
        places = [order.of(row) for row in drive.load(connection, sorted(candidates)) if question.matches(row)]
        places.sort(reverse=order.descending)
        return [p for p in places if order.beyond(p, after)][: count + 1], len(places)

    def _from_stream(self, connection: Connection, question: _Question, after: Place | None, query: Query) -> tuple[list[Place], int | None]:
        """Page from postings in the order asked for; they are counted to the end only when the total is asked for."""
        accurate = query.total == "accurate" or query.count == 0
        seen, matched = 0, 0
        places: list[Place] = []
        start = None if accurate else after
        last: Place | None = None
        for at, row in drive.stream(connection, self._ranges(question), question.order.descending, start):
            seen += 1
            if seen > self._budget:
                raise _too_costly(question)
            place = question.order.of(row)
            if place.value != at or place == last or not question.matches(row):
                continue  # a posting of an older version, the same row under another key, or no match
            last = place
            matched += 1
            if question.order.beyond(place, after) and len(places) <= query.count:
                places.append(place)
            if not accurate and len(places) > query.count:
                return places, None
        return places, matched if accurate or after is None else None

    def _ranges(self, question: _Question) -> Sequence[PostingRange]:
        """The postings to stream, all of many rows: of the first value that has them in the right order, else of the whole type."""
        plan = question.plan
        if question.order.by == "time":
            return [PostingRange(plan.updated_key, *_Bounds.of(question.conditions).written)]
        for driver in self._drivers(question):
            ranges = [r for r in driver if isinstance(r, PostingRange) and r.key != plan.updated_key]
            if len(ranges) == len(driver):
                return ranges
        raise AssertionError("the whole type is always the last driver")

    def _cursor(self, place: Place, type_: str, query: Query, scope: Scope) -> str:
        body = msgspec.json.encode(place)
        return base64.urlsafe_b64encode(self._seal(body, type_, query, scope) + body).decode().rstrip("=")

    def _place(self, cursor: str, type_: str, query: Query, scope: Scope) -> Place:
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            if hmac.compare_digest(text[:16], self._seal(text[16:], type_, query, scope)):
                return Place(*msgspec.json.decode(text[16:]))
        except (ValueError, TypeError):
            pass
        raise Refused(Finding("bad-cursor", "refuse", "翻页标记无效或不属于这次检索; 请从第一页重新检索", source="_cursor"))

    def _seal(self, body: bytes, type_: str, query: Query, scope: Scope) -> bytes:
        """Binds a place to caller, type, criteria and order."""
        said = msgspec.json.encode((scope.caller, type_, [(c.name, c.values) for c in query.criteria], [(s.code, s.descending) for s in query.sort]))
        return hmac.digest(self._secret, said + b"\0" + body, hashlib.sha256)[:16]


def _rids(connection: Connection, type_: str, ids: Sequence[str]) -> set[int]:
    if not ids:
        return set()
    marks = ", ".join(["%s"] * len(ids))
    return {row[0] for row in drive.run(connection, f"SELECT rid FROM resource WHERE type = %s AND id IN ({marks})", [type_, *ids])}


def _resources(connection: Connection, rids: Sequence[int]) -> list[Found]:
    """Current content, in the order given; what was deleted meanwhile is left out."""
    if not rids:
        return []
    marks = ", ".join(["%s"] * len(rids))
    statement = f"SELECT rid, type, id, version, time, content FROM resource WHERE rid IN ({marks}) AND NOT deleted"
    held = {row[0]: Found(row[0], row[1], row[2], row[3], row[4], bytes(row[5])) for row in drive.run(connection, statement, rids)}
    return [held[rid] for rid in rids if rid in held]


def _too_costly(question: _Question) -> Refused:
    return Refused(Finding("too-costly", "refuse", f"{question.plan.type} 的检索条件太宽, 查看的行数超过上限; 请加上 patient、code 或日期等条件"))


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
