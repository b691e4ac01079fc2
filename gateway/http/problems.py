"""Errors as OperationOutcome: one shape for every route (https://hl7.org/fhir/R4/operationoutcome.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Finding
from gateway.fhir.outcome import operation_outcome

FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence for a person, in Chinese and in English."""

    zh: str
    en: str

    def of(self, request: Request) -> str:
        """In the caller's language."""
        return self.within(language(request))

    def within(self, language: str) -> str:
        """In this language, `zh` or `en`."""
        return self.en if language == "en" else self.zh


def language(request: Request) -> str:
    """`en` when Accept-Language puts English first, else `zh`."""
    return "en" if request.headers.get("accept-language", "").strip().lower().startswith("en") else "zh"


class Problem(Exception):
    """An answer other than success: HTTP status, FHIR issue type (http://hl7.org/fhir/issue-type), text, and where. findings: told one by one
    instead of the text."""

    def __init__(self, status: int, code: str, zh: str, en: str, expression: str = "", headers: dict[str, str] | None = None,
                 findings: Sequence[Finding] = ()) -> None:  # fmt: skip
        super().__init__(code)
        self.status = status
        self.code = code
        self.text = Text(zh, en)
        self.expression = expression
        self.headers = headers or {}
        self.findings = tuple(findings)


def issue(code: str, text: str, severity: str = "error", expression: str = "", diagnostics: str = "") -> dict[str, Any]:
    """One issue of an OperationOutcome."""
    made: dict[str, Any] = {"severity": severity, "code": code, "details": {"text": text}}
    if diagnostics:
        made["diagnostics"] = diagnostics
    if expression:
        made["expression"] = [expression]
    return made


def told(problem: Problem, language: str) -> bytes:
    """The problem as OperationOutcome JSON. language: `zh` or `en`."""
    if problem.findings:
        return orjson.dumps(operation_outcome(problem.findings, language))
    return orjson.dumps(
        {"resourceType": "OperationOutcome", "issue": [issue(problem.code, problem.text.within(language), expression=problem.expression)]}
    )


def outcome(issues: list[dict[str, Any]], status: int, headers: dict[str, str] | None = None) -> Response:
    """The response that carries them."""
    body = orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})
    return Response(body, status, {**(headers or {}), "Content-Type": f"{FHIR_JSON}; charset=utf-8"})


def answer(request: Request, problem: Problem) -> Response:
    """The response to a problem, in the caller's language."""
    return outcome([issue(problem.code, problem.text.of(request), expression=problem.expression)], problem.status, problem.headers)


def unknown_path(request: Request) -> Response:
    """404 of a path that is no route."""
    return answer(request, Problem(404, "not-found", "没有这个地址; 能力声明见 /fhir/metadata", "No such address; see /fhir/metadata"))


def wrong_method(request: Request, allow: str) -> Response:
    """405, with what is allowed."""
    zh, en = f"此地址不支持该方法, 可用: {allow}", f"Method not allowed here; allowed: {allow}"
    return answer(request, Problem(405, "not-supported", zh, en, headers={"Allow": allow}))


def store_away() -> Problem:
    """503: the database does not answer."""
    zh, en = "数据库暂时没有应答; 请稍后重试", "The database does not answer now; try again later"
    return Problem(503, "transient", zh, en, headers={"Retry-After": "5"})


def internal() -> Problem:
    """500: a fault of ours; nothing of it is told."""
    zh, en = "网关内部错误, 已记录; 请联系管理员并提供时间", "Internal error; it was logged. Tell the operator the time"
    return Problem(500, "exception", zh, en)
