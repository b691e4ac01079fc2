"""Composites: values that stand together in one element (https://hl7.org/fhir/R4/search.html#composite).

The index says which resources have each of the values; whether they stand together is read from the resource: every element that the
composite names is encoded by itself, as if it were all of the resource, and meets the conditions of all components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec

from gateway.fhir.elements import SearchParameter
from gateway.fhir.parameters import branches
from gateway.fhir.path import Extractor
from gateway.fhir.query import Criterion, split
from gateway.store.index.keys import Field, Indexer
from gateway.store.index.match.asked import Asked, allow, refused
from gateway.store.index.match.row import Condition, Driver, Row, Test
from gateway.store.index.reading import extracted
from gateway.store.index.slots import Draft, Slot, Use
from gateway.store.index.spans import pack, packed
from gateway.store.index.values import encoder

__all__ = ["composite"]

Compile = Callable[[Asked, Field, Criterion], Condition]
REFERENCES = {"Reference", "canonical", "uri"}


@dataclass(frozen=True, slots=True)
class _Pair:
    """A compiled composite. roots: for each branch of its expression, the steps to the element and what encodes its components.
    fields: the components as parameters of their own. indexed: the same in the index of the type, None where R4 names another kind."""

    roots: tuple[tuple[str, tuple[str, ...], Callable[[Mapping[str, Any], Draft], None]], ...]
    fields: tuple[Field, ...]
    indexed: tuple[Field | None, ...]


def composite(asked: Asked, parameter: SearchParameter, criterion: Criterion, compile_: Mapping[str, Compile]) -> Condition:
    """`a$b`: components in order, each as its own parameter type has it."""
    allow(criterion, "")
    pair = _compiled(asked.indexer, asked.plan.type, parameter)
    together: list[list[Condition]] = []
    rough: list[list[Condition]] = []
    for value in criterion.values:
        parts = split(value, "$")
        if len(parts) != len(pair.fields) or not all(parts):
            expected = "$".join(f.parameter.code for f in pair.fields)
            raise refused(criterion, "bad-value", f"组合参数的值应写成 {expected}; 值里的 $ 要写成 \\$")
        own = [Criterion(criterion.code, "", "", (part,)) for part in parts]
        together.append([compile_[f.parameter.type](asked, f, c) for f, c in zip(pair.fields, own, strict=True)])
        rough.append([compile_[f.parameter.type](asked, f, c) for f, c in zip(pair.indexed, own, strict=True) if f is not None])

    def content(resource: Mapping[str, Any]) -> bool:
        rows = list(_elements(asked.indexer, pair, asked.plan.type, resource))
        return any(all(c.test(row) for c in one if c.test) for row in rows for one in together)

    return Condition(_any(rough), _driver(rough), content=content)


def _any(alternatives: Sequence[Sequence[Condition]]) -> Test:
    return lambda row: any(all(c.test(row) for c in one if c.test) for one in alternatives)


def _driver(alternatives: Sequence[Sequence[Condition]]) -> Driver | None:
    """For each value the first component that can drive; None when one has none."""
    found: list[Any] = []
    for one in alternatives:
        driver = next((c.driver for c in one if c.driver is not None and c.bounds is None), None)
        if driver is None:
            return None
        found += driver
    return found


@lru_cache(maxsize=256)
def _compiled(indexer: Indexer, type_: str, parameter: SearchParameter) -> _Pair:
    by_url = {p.url: p for p in indexer.r4.search(type_).values()}
    kinds = [by_url[definition].type if definition in by_url else "token" for definition, _ in parameter.components]
    slots: dict[tuple[int, str], Slot] = {}

    def slot(n: int, of: str) -> Slot:
        kind = kinds[n]
        if kind == "reference" and of not in REFERENCES:
            kind = "token"  # R4 names the components of DocumentReference.relationship the wrong way round
        elif kind == "token" and of == "Reference":
            kind = "reference"
        kinds[n] = kind
        kind = "quantity" if kind == "number" else kind
        name = f"{type_}:{parameter.code}.{n}#{kind}"
        key = indexer.key
        return slots.setdefault((n, kind), Slot(name, kind, False, False, {}, key(name, "present"), key(name, "date")))

    roots = []
    for branch in branches(parameter.expression):
        steps = tuple(branch.split(".")[1:])
        expressions = [
            (n, part.replace("%resource", type_) if part.startswith("%resource") else f"{branch}.{part}")
            for n, (_, expression) in enumerate(parameter.components)
            for part in branches(expression)
        ]
        walk = Extractor(indexer.r4, type_, expressions).into(
            lambda gives: encoder(indexer.keys, [Use(slot(n, of), of, False, test) for n, of, test in gives])
        )
        roots.append((branch, steps, walk))
    fields, indexed = [], []
    plan = indexer.plan(type_)
    for n, (definition, _) in enumerate(parameter.components):
        held = by_url.get(definition)
        own = replace(held or parameter, type=kinds[n])
        fields.append(Field(own, tuple((s, "") for (m, _), s in slots.items() if m == n)))
        indexed.append(plan.fields.get(held.code) if held is not None and held.type == kinds[n] else None)
    return _Pair(tuple(roots), tuple(fields), tuple(indexed))


def _elements(indexer: Indexer, pair: _Pair, type_: str, resource: Mapping[str, Any]) -> list[Row]:
    """An index row for every element that the composite names."""
    rows = []
    for branch, steps, walk in pair.roots:
        for _, _, value in extracted(indexer.r4, type_, branch)(resource):
            alone: Any = value
            for step in reversed(steps):
                alone = {step: alone}
            draft = Draft()
            walk({**resource, **alone}, draft)
            keys = packed(draft.posted) + b"".join(draft.keys)
            texts = msgspec.json.encode(draft.texts) if draft.texts else None
            rows.append(Row(0, 0, 0, 0, keys, pack(draft.spans), pack(draft.amounts), texts))
    return rows
