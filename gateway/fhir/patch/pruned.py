"""What a patch leaves empty: R4 has no empty objects and lists (https://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

from typing import Any

__all__ = ["pruned"]


def pruned(value: Any) -> Any:
    """Without empty objects and lists, and without lists of primitive extensions that hold nothing."""
    if type(value) is list:
        return [kept for item in value if (kept := pruned(item)) not in ({}, [])]
    if type(value) is not dict:
        return value
    made = {name: kept for name, inside in value.items() if (kept := pruned(inside)) not in ({}, [])}
    for name in [n for n, v in made.items() if n.startswith("_") and type(v) is list and not any(v)]:
        del made[name]
    return made
