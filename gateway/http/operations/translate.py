"""What a code is in another code system.

https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.fhir.json import decode
from gateway.http.call import Call, Reply
from gateway.http.parameters import given
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.stored import current
from gateway.http.terms import Asked, Terminology, answer, asked_codes
from gateway.terminology.published import Json

NO_MATCH = frozenset({"unmatched", "disjoint"})
TURNED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


@operation("translate", "type", "instance", types=("ConceptMap",), definition="http://hl7.org/fhir/OperationDefinition/ConceptMap-translate")
async def translate(call: Call) -> Reply:
    """200 with `result`, and a `match` for each target with its equivalence and the map that says so. With `url` (or on an instance) that map is
    asked, else every map from the code's system; `targetsystem` narrows, `reverse` goes the other way. 404 when the map is not known here."""
    asked = dict(given(call))
    one: Json | None = None
    if call.id:
        _, _, content = await current(call)
        one = decode(content)
    matches = await asyncio.to_thread(_matches, call, asked, one)
    result = any(parts[0][2] not in NO_MATCH for parts in matches)
    message = "" if result else "没有对应的代码; 请核对代码, 或在对照表里加上"
    rows: list[tuple[str, str, Any]] = [("result", "Boolean", result), ("message", "String", message)]
    return answer([*rows, *(("match", "part", parts) for parts in matches)])


def _matches(call: Call, asked: dict[str, str], one: Json | None) -> list[list[tuple[str, str, Any]]]:
    codes, reverse = asked_codes(call), asked.get("reverse") == "true"
    with call.backend.database.engine.connect() as connection:
        terms = Terminology(call, connection)
        url = asked.get("url", "")
        named = one or (terms.find("ConceptMap", url) if url else None)
        if url and named is None:
            zh = f"这里没有对照表 {url}; 请核对, 或把 ConceptMap 资源写入网关"
            raise Problem(404, "not-found", zh, f"The map {url} is not known here; check it, or write the ConceptMap to the gateway", "url")
        maps: Iterable[Json] = [named] if named is not None else terms.concept_maps()
        found = []
        for concept_map in maps:
            for code in codes:
                for equivalence, concept in _said(concept_map, code, asked.get("targetsystem", ""), reverse=reverse, sure=named is None):
                    found.append([("equivalence", "Code", equivalence), ("concept", "Coding", concept), ("source", "Uri", concept_map.get("url"))])
        return found


def _said(concept_map: Json, asked: Asked, wanted: str, *, reverse: bool, sure: bool) -> Iterator[tuple[str, Json]]:
    """What a map says of a code: (equivalence, Coding). sure: the map must name the code's system; else a group that names none will do."""
    for group in concept_map.get("group", ()):
        source, target = (group.get("target"), group.get("source")) if reverse else (group.get("source"), group.get("target"))
        if (wanted and target != wanted) or (source != asked.system if source and asked.system else sure):
            continue
        for element in group.get("element", ()):
            for to in element.get("target", ()):
                here, there = (to, element) if reverse else (element, to)
                equivalence = str(to.get("equivalence", "relatedto"))
                if here.get("code") == asked.code:
                    yield TURNED.get(equivalence, equivalence) if reverse else equivalence, _coding(target, there)


def _coding(system: str | None, concept: Json) -> Json:
    if "code" not in concept:
        return {}
    return {k: v for k, v in (("system", system), ("code", concept["code"]), ("display", concept.get("display"))) if v}
