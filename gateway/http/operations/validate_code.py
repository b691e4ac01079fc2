"""Whether a code is one of a code system, or in a value set.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html, https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.terms import Asked, Terminology, answer, asked_codes, asked_url

Verdict = tuple[bool, str, str]
"""Whether it is one, why not, and how the code is called."""


@operation(
    "validate-code", "type", "instance", types=("CodeSystem", "ValueSet"), definition="http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code"
)
async def validate_code(call: Call) -> Reply:
    """200 with `result`, a `message` when it is false, and `display`. Of several codings one that is valid is enough. 404 when the code system
    or value set is not known here."""
    told = await asyncio.to_thread(_verdicts, call, await asked_url(call), asked_codes(call))
    result, message, display = next((verdict for verdict in told if verdict[0]), told[0])
    rows: list[tuple[str, str, Any]] = [("result", "Boolean", result), ("message", "String", message), ("display", "String", display)]
    return answer(rows)


def _verdicts(call: Call, url: str, asked: list[Asked]) -> list[Verdict]:
    with call.backend.database.engine.connect() as connection:
        terms = Terminology(call, connection)
        if call.type == "CodeSystem":
            return [_of_system(terms, Asked(one.system or url, one.code, one.display)) for one in asked]
        members = terms.needed(url)
        return [_of_set(terms, url, members, one) for one in asked]


def _of_system(terms: Terminology, asked: Asked) -> Verdict:
    concept = terms.lookup(asked.system, asked.code)
    if concept is not None:
        return _called(asked, concept.display)
    if terms.lists(asked.system):
        return False, f"代码系统 {asked.system} 没有代码 {asked.code}", ""
    zh = f"这里没有代码系统 {asked.system or '(未给出)'} 的全部代码, 不能判断 {asked.code}; 请把 CodeSystem 资源写入网关"
    en = f"Not all codes of {asked.system or '(no system given)'} are known here; write the CodeSystem to the gateway"
    raise Problem(404, "not-found", zh, en, "system")


def _of_set(terms: Terminology, url: str, members: frozenset[tuple[str, str]], asked: Asked) -> Verdict:
    systems = {system for system, code in members if code == asked.code}
    if (asked.system not in systems) if asked.system else len(systems) != 1:
        several = "; 多个代码系统有它, 请给出 system" if not asked.system and systems else ""
        return False, f"值集 {url} 没有代码 {asked.code}{f'(系统 {asked.system})' if asked.system else ''}{several}", ""
    system = asked.system or systems.pop()
    concept = terms.lookup(system, asked.code)
    return _called(asked, terms.displays(url).get((system, asked.code)) or (concept.display if concept else ""))


def _called(asked: Asked, display: str) -> Verdict:
    """A valid code; another display than its own makes it invalid (the caller may mean another concept)."""
    if asked.display and display and asked.display != display:
        return False, f"代码 {asked.code} 的名称是 {display}, 不是 {asked.display}", display
    return True, "", display
