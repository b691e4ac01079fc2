"""One search while it runs: its connection, caller and guard; which resources match, in which order.

A search starts from the most selective key of the query and decides everything else from the row's own keys. Where keys lead to few rows,
all are read, and the total is known. Otherwise postings are streamed in the order of the first sort key until the page is full; an order
that postings do not have is sorted from all matches.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.fhir import json
from gateway.fhir.query import Criterion, SortKey, escape, unescape
from gateway.store.index import drive
from gateway.store.index.keys import Indexer
from gateway.store.index.match.asked import Asked, Terms, allow
from gateway.store.index.match.criterion import compile_criterion, is_known
from gateway.store.index.match.row import Condition, Driver, PostingRange, Row
from gateway.store.index.statements import NOTHING
from gateway.store.index.stream import Reading, stream
from gateway.store.scope import Scope
from gateway.store.search import joins, members
from gateway.store.search.cursor import Place
from gateway.store.search.guard import Guard, TooWide
from gateway.store.search.order import Held, order_of
from gateway.store.search.page import Compartment, Found, current, rids_of
from gateway.store.search.question import Part, Question
from gateway.store.search.terms import StoredTerms

__all__ = ["Run"]

FEWEST = 200
"""Rows of a driver that are few enough to ask no other one."""
STRINGS = 8
"""How many times more rows a driver of strings may lead to than one of keys, to be read whole."""
STREAMS = 24
"""Keys whose postings one statement merges in order; of more, postings are read and sorted, if they are not too many."""
MANY = 2000
"""Keys of a driver that postings are read of at all."""
LIGHT = 5_000
"""Postings that are few enough to look at all of them for one page."""
MUCH, HEAVY = 30_000, 200_000
"""Postings that are too many to be sorted; and so many that it no longer matters which driver has fewer."""


@dataclass(slots=True)
class Run:
    """What a search and everything asked inside it share."""

    connection: Connection
    indexer: Indexer
    scope: Scope
    guard: Guard

    def asked(self, type_: str) -> Asked:
        """What criteria of a type are compiled against."""
        terms: Terms = StoredTerms(self.indexer.r4, self._canonical)
        return Asked(self.indexer, self.indexer.plan(type_), terms)

    def question(
        self,
        types: Sequence[str],
        criteria: Iterable[Criterion],
        sort: Iterable[SortKey] = (),
        within: Compartment | None = None,
        depth: int = 0,
    ) -> Question:
        """Criteria as conditions; those that one of the types does not know are put aside. depth: steps of the chain that leads here."""
        parts = {type_: Part(self.indexer.plan(type_)) for type_ in types}
        order = order_of(self.indexer, [p.plan for p in parts.values()], sort)
        ignored = list(order.ignored)
        for criterion in criteria:
            if not all(self.knows(type_, criterion) for type_ in parts):
                ignored.append(criterion.name)
                continue
            for type_, part in parts.items():
                self._criterion(type_, part, criterion, depth)
        if within is not None:
            for type_, part in parts.items():
                members.keep_to(self, type_, part, within)
        return Question({p.plan.updated_key: p for p in parts.values()}, order, ignored)

    def knows(self, type_: str, criterion: Criterion) -> bool:
        """Whether a type has the parameter of a criterion."""
        return criterion.code in ("_id", "_has", "_list") or is_known(self.asked(type_), criterion.code)

    def _criterion(self, type_: str, part: Part, criterion: Criterion, depth: int) -> None:
        if criterion.code in ("_id", "_list"):
            allow(criterion, "")
        if criterion.code == "_id":
            part.only({unescape(value) for value in criterion.values})
        elif criterion.code == "_list":
            members.listed(self, type_, part, criterion)
        elif criterion.code == "_has":
            part.conditions.append(joins.has(self, type_, criterion, depth))
        elif criterion.chain:
            part.conditions.append(joins.chain(self, type_, criterion, depth))
        else:
            part.conditions.append(compile_criterion(self.asked(type_), criterion))

    def _canonical(self, type_: str, url: str) -> dict[str, Any] | None:
        """The newest resource of a type with this canonical URL, or this `Type/id`."""
        code = "_id" if url.startswith(f"{type_}/") else "url"
        value = escape(url.removeprefix(f"{type_}/").partition("|")[0])
        found = current(self.connection, self.scope, sorted(self.all(type_, [Criterion(code, "", "", (value,))]))[-1:])
        return dict(json.decode(found[0].content)) if found else None

    def matching(self, question: Question, rows: Sequence[Row]) -> list[Row]:
        """Those rows that match, in the same order."""
        self.guard.looked(len(rows))
        by_part: dict[int, list[Row]] = {}
        for row in rows:
            part = question.parts.get(row.updated)
            if part is not None and part.passes(row):
                by_part.setdefault(row.updated, []).append(row)
        passed: set[int] = set()
        for updated, kept in by_part.items():
            part = question.parts[updated]
            rids = [row.rid for row in kept]
            contents = [c.content for c in part.conditions if c.content is not None]
            if contents and rids:
                bodies = ((f.rid, json.decode(f.content)) for f in current(self.connection, self.scope, rids))
                rids = [rid for rid, body in bodies if all(test(body) for test in contents)]
            for batch in [c.batch for c in part.conditions if c.batch is not None]:
                held = batch(rids) if rids else set()
                rids = [rid for rid in rids if rid in held]
            passed.update(rids)
        return [row for row in rows if row.rid in passed]

    def candidates(self, question: Question) -> list[Row] | None:
        """Rows among which every match is, when there are few; None when a part's every driver leads to many."""
        chosen: list[tuple[Part, set[int], Driver]] = []
        for part in question.parts.values():
            few = self._few(part)
            if few is None:
                return None
            chosen.append((part, *few))
        if sum(len(rids) for _, rids, _ in chosen) > self.guard.limits.few and len(chosen) > 1:
            return None
        return [row for part, rids, by in chosen if rids for row in drive.load(self.connection, sorted(rids), part.needles(by))]

    def _few(self, part: Part) -> tuple[set[int], Driver] | None:
        """Rids that the first driver leads to which leads to few enough, or the one that leads to fewest, and that driver. Strings have no
        order that could be streamed: theirs may be some more."""
        if part.ids is not None:
            return rids_of(self.connection, self.scope, part.plan.type, sorted(part.ids)), []
        best: tuple[set[int], Driver] | None = None
        least = self.guard.limits.few
        for driver in part.drivers():
            most = least if best or all(isinstance(r, PostingRange) for r in driver) else least * STRINGS
            rids = drive.fetch(self.connection, driver, most)
            if len(rids) <= most:
                best, least = (rids, driver), min(len(rids), least)
                if len(rids) <= FEWEST:
                    break
        return best

    def rarest(self, part: Part, alone: bool) -> list[PostingRange]:
        """The postings to stream in the order of t: of the driver that has fewest, or of the whole type. alone: no other part is asked."""
        if part.rarest is None:
            part.rarest = self._fewest([s for s in part.streams() if len(s) <= (MANY if alone else STREAMS)]) or part.whole()
        return part.rarest

    def _fewest(self, streams: list[list[PostingRange]]) -> list[PostingRange] | None:
        """Those with fewest postings, which are counted no further than it takes to tell."""
        for limit in (MUCH, HEAVY):
            if limit == HEAVY:
                streams = [s for s in streams if len(s) <= STREAMS]
            if not streams or (len(streams) == 1 and len(streams[0]) <= STREAMS):
                break
            least, best = limit, None
            for one in streams:
                if (found := drive.weight(self.connection, one, least)) < least:
                    least, best = found, one
            if best is not None:
                return best
        return streams[0] if streams else None

    def rows(self, question: Question, by: str = "t", descending: bool = True, after: tuple[int, int] | None = None) -> Iterator[list[Row]]:
        """Matches in the order of `t` or `time` and rid, some at a time, each once; strictly after a place."""
        parts = list(question.parts.values())
        alone = len(parts) == 1
        if by == "time" and not (alone and self._is_light(parts[0])):
            ranges = [r for part in parts for r in part.written()]
            sorted_ = False
        else:
            ranges = [r for part in parts for r in self.rarest(part, alone)]
            sorted_ = by == "time"
        demand = parts[0].demand(ranges) if alone else NOTHING  # another type's rows have other keys
        return self._read(question, Reading(ranges, demand, descending, together=alone and len(ranges) > STREAMS, written=sorted_), by, after)

    def _is_light(self, part: Part) -> bool:
        """Whether a driver has so few postings that all of them can be sorted by when they were written."""
        return bool(part.streams()) and drive.weight(self.connection, self.rarest(part, True), LIGHT) < LIGHT

    def _read(self, question: Question, reading: Reading, by: str, after: tuple[int, int] | None = None) -> Iterator[list[Row]]:
        last: tuple[int, int] | None = None
        for chunk in stream(self.connection, reading, after):
            fresh: list[Row] = []
            for at, row in chunk:
                place = (row.t if by == "t" else row.time), row.rid
                if place[0] == at and place != last:  # else a posting of an older version, or the same row under another key
                    fresh.append(row)
                    last = place
            yield self.matching(question, fresh)

    def count(self, question: Question) -> int:
        """How many match: counted by the engine where keys alone decide, else row by row."""
        total = 0
        for updated, part in question.parts.items():
            if part.is_written():
                total += drive.tally(self.connection, part.written())
                continue
            ranges = self.rarest(part, len(question.parts) == 1)
            sure, open_ = part.counted(ranges)
            total += drive.tally(self.connection, sure, part.demand(ranges))
            if open_:
                alone = Question({updated: part}, question.order, [])
                total += sum(len(rows) for rows in self._read(alone, Reading(open_, part.demand(ranges)), "t"))
        return total

    def every(self, question: Question) -> Iterator[list[Row]]:
        """All matches, in no order."""
        candidates = self.candidates(question)
        if candidates is None:
            with self.guard.watching(self.connection):
                yield from self.rows(question)
        else:
            yield self.matching(question, candidates)

    def all(self, type_: str, criteria: Iterable[Criterion], extra: Condition | None = None, depth: int = 0, bounded: bool = True) -> set[int]:
        """Rids of all matches. Raises TooWide beyond the width of a step, if the search is bounded."""
        question = self.question([type_], criteria, depth=depth)
        for part in question.parts.values():
            part.conditions += [extra] if extra is not None else []
        found: set[int] = set()
        for rows in self.every(question):
            found.update(row.rid for row in rows)
            if bounded and len(found) > self.guard.limits.width:
                raise TooWide
        return found

    def places(self, question: Question, rows: Sequence[Row]) -> Iterator[Place]:
        """Where these resources stand in the order asked for."""
        order = question.order
        by = {key.by for key in order.keys}
        held: dict[int, Found] = {}
        if by & {"id", "body"}:
            held = {found.rid: found for found in current(self.connection, self.scope, [row.rid for row in rows])}
        for row in rows:
            if not by & {"id", "body"}:
                yield order.place(Held(row))
            elif row.rid in held:
                body = json.decode(held[row.rid].content) if "body" in by else None
                yield order.place(Held(row, held[row.rid].id, body))

    def least(self, question: Question, matches: Iterable[Sequence[Row]], after: Place | None, count: int) -> tuple[list[Place], int]:
        """The first `count` places behind `after`, from all matches in any order, and how many matches there are."""
        order = question.order
        total = 0
        best: list[Place] = []
        for rows in matches:
            total += len(rows)
            behind = (p for p in self.places(question, rows) if order.beyond(p, after))
            best = heapq.nsmallest(count, [*best, *behind], key=order.rank)
        return best, total
