"""FHIRPath Patch operations as Parameters, for tests."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def operation(type_: str, path: str, name: str | None = None, value: Json | list[Json] | None = None, **numbers: int) -> Json:
    """One operation. value: `{"valueCode": "a"}`, or named parts for a type without name. numbers: index, source, destination."""
    parts: list[Json] = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    if name is not None:
        parts.append({"name": "name", "valueString": name})
    if value is not None:
        parts.append({"name": "value", **({"part": value} if isinstance(value, list) else value)})
    parts += [{"name": n, "valueInteger": v} for n, v in numbers.items()]
    return {"name": "operation", "part": parts}


def patch(*operations: Json) -> Json:
    """The Parameters resource of these operations."""
    return {"resourceType": "Parameters"} | ({"parameter": list(operations)} if operations else {})
