"""Simple inputs of an operation: of the URL, or of a Parameters resource that is posted (https://hl7.org/fhir/R4/operations.html#request)."""

from __future__ import annotations

from gateway.http.call import Call
from gateway.http.negotiate import parsed
from gateway.http.problems import Problem

__all__ = ["texts"]

_CONTROLS = frozenset({"_format", "_pretty", "_summary", "_elements"})


def texts(call: Call) -> dict[str, list[str]]:
    """Inputs of primitive types by name, as text. Problem 400 for a body that is no Parameters resource."""
    found: dict[str, list[str]] = {}
    for name, value in call.query:
        if name not in _CONTROLS:
            found.setdefault(name, []).append(value)
    if call.method == "POST" and call.body:
        body = parsed(call)
        if body["resourceType"] != "Parameters":
            raise Problem(400, "invalid", "操作的请求体应为 Parameters", "The body of an operation should be Parameters", "resourceType")
        for parameter in body.get("parameter", ()):
            values = [v for k, v in parameter.items() if k.startswith("value") and isinstance(v, str | int | bool)]
            if "name" in parameter and values:
                found.setdefault(str(parameter["name"]), []).append(str(values[0]))
    return found
