"""Input and output of operations (https://hl7.org/fhir/R4/operations.html#executing)."""

from __future__ import annotations

from typing import Any

from gateway.http.call import Call
from gateway.http.negotiate import parsed
from gateway.http.problems import Problem

__all__ = ["given", "named_values", "only_known"]


def given(call: Call) -> list[tuple[str, str]]:
    """Parameters of the URL and, of a POST, the primitive ones of its Parameters, as pairs. Problem 400 for NUL, which no value of R4 holds
    and PostgreSQL takes for no text."""
    pairs = [*call.query, *((name, _text(value)) for name, value in named_values(call) if not isinstance(value, dict | list))]
    if any("\0" in value for _, value in pairs):
        raise Problem(400, "value", "参数值里有 NUL 字符; 请去掉", "A parameter's value holds NUL; leave it out")
    return pairs


def named_values(call: Call) -> list[tuple[str, Any]]:
    """(name, value) of the Parameters in a POST's body. Problem 400 for another resource."""
    if call.method != "POST" or (not call.body and call.resource is None):
        return []
    body = parsed(call)
    rows = body.get("parameter", [])
    if body.get("resourceType") != "Parameters" or not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise Problem(400, "invalid", "操作的请求体应为 Parameters 资源", "The body of an operation should be a Parameters resource", "resourceType")
    found = []
    for row in rows:
        value = next((v for k, v in row.items() if k.startswith("value") and k[5:6].isupper()), row.get("resource"))
        found.append((str(row.get("name", "")), value))
    return found


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def only_known(call: Call, pairs: list[tuple[str, str]], known: frozenset[str]) -> None:
    """Problem 400 for a parameter that the operation does not have, under strict handling."""
    unknown = [k for k, _ in pairs if k.partition(":")[0] not in known]
    if unknown and call.prefers("handling") == "strict":
        names = "、".join(unknown)
        raise Problem(
            400, "not-supported", f"${call.operation} 没有这些参数: {names}", f"${call.operation} has no such parameters: {', '.join(unknown)}"
        )
