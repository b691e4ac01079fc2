"""What a page brings along: `_include` and `_revinclude`, with `:iterate` (https://hl7.org/fhir/R4/search.html#include)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gateway.fhir import json
from gateway.fhir.query import Criterion, Include, escape
from gateway.store.index.keys import Field
from gateway.store.index.match.reference import pointing_at
from gateway.store.index.reading import pointers
from gateway.store.search.guard import TooWide, too_costly
from gateway.store.search.page import Found, current, rids_of

if TYPE_CHECKING:
    from gateway.store.search.run import Run

__all__ = ["included", "unknown"]


def unknown(run: Run, includes: Iterable[Include]) -> list[Include]:
    """Those that name a type or parameter that R4 does not have."""
    return [one for one in includes if not _known(run, one)]


def _known(run: Run, include: Include) -> bool:
    r4 = run.indexer.r4
    if include.target and not r4.is_resource(include.target):
        return False
    if include.source == "*":
        return not include.reverse
    return r4.is_resource(include.source) and bool(_fields(run, include.source, include.parameter))


def _fields(run: Run, type_: str, code: str) -> list[Field]:
    """Reference parameters of a type, by code or all."""
    fields = run.indexer.plan(type_).fields
    return [f for c, f in fields.items() if f.parameter.type == "reference" and code in (c, "*")]


def included(run: Run, includes: Sequence[Include], matches: Sequence[Found]) -> list[Found]:
    """Resources that the includes add to these matches, each once. Raises Refused beyond the fan-out limit."""
    held = {found.rid for found in matches}
    added: list[Found] = []
    ahead: Sequence[Found] = matches
    asked: Sequence[Include] = includes
    while ahead and asked:
        rids: dict[int, None] = {}
        for include in asked:
            found = _referring(run, include, ahead) if include.reverse else _referred(run, include, ahead)
            rids |= dict.fromkeys(rid for rid in found if rid not in held)
        if len(added) + len(rids) > run.guard.limits.included:
            raise too_costly(f"_include 或 _revinclude 带来的资源超过 {run.guard.limits.included} 个; 用 _count 要小一些的页")
        run.guard.looked(len(rids))
        ahead = current(run.connection, run.scope, list(rids))
        held |= rids.keys()
        added += ahead
        asked = [include for include in includes if include.iterate]
    return added


def _referred(run: Run, include: Include, among: Sequence[Found]) -> Iterator[int]:
    """What the resources of the source type refer to."""
    ids: dict[str, dict[str, None]] = {}
    canonical: dict[str, dict[str, None]] = {}
    for found in among:
        if include.source not in ("*", found.type):
            continue
        body: Mapping[str, Any] = json.decode(found.content)
        for field in _fields(run, found.type, include.parameter):
            for place in pointers(run.indexer.r4, found.type, field.parameter.expression, body, run.indexer.keys.base):
                _sort_out(run, include, field, place, ids, canonical)
    for type_, wanted in ids.items():
        yield from sorted(rids_of(run.connection, run.scope, type_, list(wanted)))
    for type_, wanted in canonical.items():
        values = tuple(escape(url.partition("|")[0]) for url in wanted)
        yield from sorted(_all(run, type_, [Criterion("url", "", "", values)]))


def _sort_out(run: Run, include: Include, field: Field, place: str, ids: dict[str, dict[str, None]], canonical: dict[str, dict[str, None]]) -> None:
    """Puts a place under its type: `Type/id`, or a canonical URL under the types that it may name."""
    type_, slash, id_ = place.partition("/")
    if slash and run.indexer.r4.is_resource(type_):
        if include.target in ("", type_):
            ids.setdefault(type_, {})[id_] = None
        return
    targets = [include.target] if include.target else [t for t in field.parameter.targets if run.indexer.r4.is_resource(t)]
    for target in targets:
        if "url" in run.indexer.plan(target).fields:
            canonical.setdefault(target, {})[place] = None


def _referring(run: Run, include: Include, among: Sequence[Found]) -> Iterator[int]:
    """What of the source type refers to these resources."""
    places = []
    for found in among:
        if include.target in ("", found.type):
            places.append(f"{found.type}/{found.id}")
            url = json.decode(found.content).get("url") if "url" in run.indexer.plan(found.type).fields else None
            places += [url] if isinstance(url, str) else []
    for field in _fields(run, include.source, include.parameter) if places else ():
        condition = pointing_at(run.asked(include.source), field, places)
        if condition.needles:
            yield from sorted(_all(run, include.source, [], condition))


def _all(run: Run, type_: str, criteria: list[Criterion], extra: Any = None) -> set[int]:
    try:
        return run.all(type_, criteria, extra)
    except TooWide:
        raise too_costly(f"_include 或 _revinclude 带来的 {type_} 太多; 用 _count 要小一些的页") from None
