"""What a code means.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.terms import Asked, Concept, Terminology, answer, asked_codes


@operation("lookup", "type", types=("CodeSystem",), definition="http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup")
async def lookup(call: Call) -> Reply:
    """200 with name, display, designations and properties of a code; 404 when the code is not known here."""
    (asked, *_) = asked_codes(call)
    return answer(_told(await asyncio.to_thread(_found, call, asked)))


def _found(call: Call, asked: Asked) -> Concept:
    with call.backend.database.engine.connect() as connection:
        concept = Terminology(call, connection).lookup(asked.system, asked.code)
    if concept is None:
        zh = f"这里没有代码系统 {asked.system or '(未给出)'} 的代码 {asked.code}; 请核对, 或把 CodeSystem 资源写入网关"
        en = f"The code {asked.code} of {asked.system or '(no system given)'} is not known here; check it, or write the CodeSystem to the gateway"
        raise Problem(404, "not-found", zh, en, "code")
    return concept


def _told(concept: Concept) -> Iterator[tuple[str, str, Any]]:
    yield "name", "String", concept.name
    yield "display", "String", concept.display or concept.code
    if definition := concept.body.get("definition"):
        yield "property", "part", [("code", "Code", "definition"), ("value", "String", definition)]
    for one in concept.body.get("designation", ()):
        yield (
            "designation",
            "part",
            [("language", "Code", one.get("language")), ("use", "Coding", one.get("use")), ("value", "String", one.get("value"))],
        )
    for one in concept.body.get("property", ()):
        kind = next((name for name in one if name.startswith("value")), "")
        yield "property", "part", [("code", "Code", one.get("code")), ("value", kind.removeprefix("value"), one.get(kind))]
