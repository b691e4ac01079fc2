"""Chained parameters and `_has`: criteria on what a resource refers to, and on what refers to it.

https://hl7.org/fhir/R4/search.html#chaining, #has. The inner search is asked first; where it leads to few resources, their references
drive the outer one. Where it is wide, the candidates of the outer search are followed instead, some at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.fhir import json
from gateway.fhir.query import Criterion, escape, parse_criterion
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import refused
from gateway.store.index.match.reference import pointing_at
from gateway.store.index.match.row import Condition, Rids
from gateway.store.index.reading import pointers
from gateway.store.search.guard import TooWide, too_costly
from gateway.store.search.page import Found, current, rids_of

if TYPE_CHECKING:
    from gateway.store.search.run import Run

__all__ = ["chain", "has", "pointed_at"]


def chain(run: Run, type_: str, criterion: Criterion, depth: int) -> Condition:
    """`subject:Patient.name=…`: any of the types that the reference may point at, and that knows the inner parameter."""
    _deeper(run, depth)
    found = run.indexer.plan(type_).fields.get(criterion.code)
    if found is None or found.parameter.type != "reference":
        raise refused(criterion, "bad-chain", f"{criterion.code} 不是引用类参数, 后面不能接 .{criterion.chain}")
    inner = parse_criterion(criterion.chain, criterion.values)
    targets = _targets(run, found, criterion, inner)
    wide: list[str] = []
    places: list[str] = []
    for target in targets:
        try:
            places += _places(run, target, run.all(target, [inner], depth=depth + 1))
        except TooWide:
            wide.append(target)
    narrow = pointing_at(run.asked(type_), found, places)
    return narrow if not wide else Condition(None, batch=_followed(run, type_, found, targets, inner, depth))


def _targets(run: Run, found: Field, criterion: Criterion, inner: Criterion) -> list[str]:
    r4 = run.indexer.r4
    if criterion.modifier:
        if not r4.is_resource(criterion.modifier):
            raise refused(criterion, "unknown-type", f"FHIR R4 没有资源类型 {criterion.modifier}")
        types = [criterion.modifier]
    else:
        named = {target for _, target in found.slots}
        types = sorted(named) if "" not in named else list(found.parameter.targets)
        if not types or "Resource" in types:
            types = r4.resource_types()
    knowing = [t for t in types if run.knows(t, inner)]
    if not knowing:
        raise refused(criterion, "bad-chain", f"{'、'.join(types[:5])} 没有检索参数 {inner.code}")
    return knowing


def _places(run: Run, type_: str, rids: Iterable[int]) -> list[str]:
    """`Type/id` of resources; their canonical URL too, which references of canonical type hold."""
    places = []
    for found in current(run.connection, run.scope, sorted(rids)):
        places.append(f"{type_}/{found.id}")
        if "url" in run.indexer.plan(type_).fields:
            url = json.decode(found.content).get("url")
            places += [url] if isinstance(url, str) else []
    return places


def _followed(run: Run, type_: str, field: Field, targets: Sequence[str], inner: Criterion, depth: int) -> Callable[[Sequence[int]], set[int]]:
    """Which of some resources refer to a match: their references are read, and only what they point at is asked about."""

    def batch(rids: Sequence[int]) -> set[int]:
        held = {found.rid: {place.partition("|")[0] for place in pointed_at(run, found, field)} for found in current(run.connection, run.scope, rids)}
        every = sorted(set[str]().union(*held.values()))
        matching: set[str] = set()
        for target in targets:
            for naming in _naming(run, target, every):
                matching.update(_places(run, target, run.all(target, [naming, inner], depth=depth + 1, bounded=False)))
        return {rid for rid, places in held.items() if places & matching}

    return batch


def _naming(run: Run, type_: str, places: Sequence[str]) -> Iterator[Criterion]:
    """Criteria for the resources of a type that these places name, by id and by canonical URL."""
    ids = tuple(place.partition("/")[2] for place in places if place.startswith(f"{type_}/"))
    if ids:
        yield Criterion("_id", "", "", ids)
    urls = tuple(escape(place) for place in places if ":" in place) if "url" in run.indexer.plan(type_).fields else ()
    if urls:
        yield Criterion("url", "", "", urls)


def has(run: Run, type_: str, criterion: Criterion, depth: int) -> Condition:
    """`_has:Observation:patient:code=…`: resources that such an Observation refers to."""
    _deeper(run, depth)
    source, _, rest = criterion.modifier.partition(":")
    code, _, last = rest.partition(":")
    if not run.indexer.r4.is_resource(source) or not code or not last:
        raise refused(criterion, "bad-has", "应写成 _has:资源类型:引用参数:参数, 例如 _has:Observation:patient:code")
    found = run.indexer.plan(source).fields.get(code)
    inner = parse_criterion(last, criterion.values)
    if found is None or found.parameter.type != "reference" or not run.knows(source, inner):
        raise refused(criterion, "bad-has", f"{source} 没有引用参数 {code} 或参数 {inner.code}")
    try:
        rids = run.all(source, [inner], depth=depth + 1)
    except TooWide:
        return Condition(None, batch=_referred(run, type_, source, found, inner, depth))
    held = rids_of(run.connection, run.scope, type_, sorted(_ids_pointed_at(run, type_, found, rids)))
    return Condition(lambda row: row.rid in held, [Rids(tuple(held))])


def _ids_pointed_at(run: Run, type_: str, field: Field, rids: Iterable[int]) -> set[str]:
    found = (place for f in current(run.connection, run.scope, sorted(rids)) for place in pointed_at(run, f, field))
    return {place.partition("/")[2] for place in found if place.startswith(f"{type_}/")}


def _referred(run: Run, type_: str, source: str, field: Field, inner: Criterion, depth: int) -> Callable[[Sequence[int]], set[int]]:
    """Which of some resources a match refers to: only what refers to them is asked about."""

    def batch(rids: Sequence[int]) -> set[int]:
        ids = {found.id: found.rid for found in current(run.connection, run.scope, rids)}
        passed: set[int] = set()
        for id_, rid in ids.items():
            pointing = pointing_at(run.asked(source), field, [f"{type_}/{id_}"])
            question = run.question([source], [inner], depth=depth + 1)
            next(iter(question.parts.values())).conditions.insert(0, pointing)
            if any(rows for rows in run.every(question)):
                passed.add(rid)
        return passed

    return batch


def pointed_at(run: Run, found: Found, field: Field) -> Iterable[str]:
    """Where the references of a parameter point in a resource."""
    body: Mapping[str, object] = json.decode(found.content)
    return pointers(run.indexer.r4, found.type, field.parameter.expression, body, run.indexer.keys.base)


def _deeper(run: Run, depth: int) -> None:
    if depth >= run.guard.limits.depth:
        raise too_costly(f"链超过 {run.guard.limits.depth} 级")
