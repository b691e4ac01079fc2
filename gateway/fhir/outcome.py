"""Findings as an OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.errors import Finding

__all__ = ["ENGLISH", "ISSUE_TYPES", "issue_type", "operation_outcome"]

SEVERITIES = {"note": "information", "drop": "warning", "hold": "error", "refuse": "error"}
ISSUE_TYPES = {
    "unknown-code": "code-invalid",
    "unknown-type": "not-supported",
    "unsupported-modifier": "not-supported",
    "unsupported-chain": "not-supported",
    "too-costly": "too-costly",
    "too-large": "too-long",
    "not-json": "structure",
    "not-xml": "structure",
    "unknown-element": "structure",
    "wrong-shape": "structure",
    "wrong-cardinality": "structure",
    "wrong-type": "structure",
    "bad-patch": "structure",
    "unresolved-fragment": "value",
    "code-not-allowed": "code-invalid",
    "too-deep": "too-long",
    "missing-key": "required",
    "not-found": "not-found",
}
"""Finding code -> http://hl7.org/fhir/issue-type; the others follow from their first word."""
_BY_WORD = {"bad": "value", "wrong": "value", "impossible": "value", "missing": "required", "unknown": "code-invalid", "unsupported": "not-supported"}
ENGLISH = {
    "note": "Accepted with a remark",
    "drop": "An element was left out",
    "hold": "Held until a person decides",
    "refuse": "Refused",
}

SAYS = {
    "not-json": "not well-formed JSON in UTF-8",
    "not-xml": "not well-formed XML in UTF-8 without DOCTYPE; values stand in value attributes",
    "too-large": "larger than can be read",
    "too-deep": "elements are nested too deeply",
    "unknown-type": "no resource type of FHIR R4",
    "wrong-type": "another resource type than was expected",
    "unknown-element": "FHIR R4 has no such element or attribute here",
    "wrong-shape": "another JSON type or shape than FHIR R4 has here (list, object, text, number)",
    "wrong-cardinality": "more or fewer values than FHIR R4 allows",
    "missing-element": "a mandatory element or value is missing",
    "bad-value": "the value has not the format of its type",
    "code-not-allowed": "the code is not in the required value set",
    "bad-reference": "no usable reference, or to a type that FHIR R4 does not name here",
    "unresolved-fragment": "no contained resource has this id (ref-1)",
    "bad-narrative": "the narrative is not the XHTML that FHIR R4 allows (txt-1, txt-2)",
    "bad-summary": "_summary should be true, text, data or false",
    "bad-patch": "no valid patch document",
    "patch-failed": "the operation cannot be applied; nothing was changed",
}
"""What a finding code means, in English."""


def issue_type(code: str) -> str:
    """The FHIR issue type of a finding code; `processing` when nothing closer is known."""
    return ISSUE_TYPES.get(code) or _BY_WORD.get(code.partition("-")[0], "processing")


def operation_outcome(findings: Iterable[Finding], language: str = "zh") -> dict[str, Any]:
    """An OperationOutcome with one issue a finding. language: `zh` gives the finding's own sentence, `en` what its code means, and where.

    No findings give the one issue that says all is well, since R4 asks for at least one.
    """
    issues = [_issue(finding, language) for finding in findings]
    if not issues:
        issues = [{"severity": "information", "code": "informational", "details": {"text": "全部成功" if language == "zh" else "All OK"}}]
    return {"resourceType": "OperationOutcome", "issue": issues}


def _issue(finding: Finding, language: str) -> dict[str, Any]:
    made: dict[str, Any] = {"severity": SEVERITIES[finding.severity], "code": issue_type(finding.code), "details": _details(finding, language)}
    places = [text for text in (finding.source, finding.line) if text]
    if places:
        made["diagnostics"] = " · ".join(places)
    if finding.target:
        made["expression"] = [finding.target]
    return made


def _details(finding: Finding, language: str) -> dict[str, Any]:
    text = finding.message if language == "zh" else f"{ENGLISH[finding.severity]}: {SAYS.get(finding.code, finding.code)}"
    return {"coding": [{"system": "urn:yifang:finding", "code": finding.code}], "text": text}
