"""Ids of elements are unique in their resource (https://hl7.org/fhir/R4/element.html#id)."""

from __future__ import annotations

from typing import Any

from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, Faults, fault, shown
from gateway.validation.profile.compile import Profiles
from gateway.validation.scope import WHOLE

__all__ = ["noted", "rule"]


def noted(value: str) -> Faults:
    """Remembers that an element has an id, so that the others need not be looked for in vain."""
    WHOLE.get().named = True
    return None


def rule(profiles: Profiles) -> One:
    """Check of a resource's elements; what it contains and the resources of a Bundle are asked for themselves."""

    def check(resource: dict[str, Any]) -> Faults:
        if not WHOLE.get().named or resource["resourceType"] == "StructureDefinition":  # whose snapshot and differential bear the same ids
            return None
        faults: list[Fault] = []
        seen: set[str] = set()
        for name, value in resource.items():
            if type(value) is dict or type(value) is list:
                _walk(value, f".{name}", seen, faults)
        return faults or None

    return check


def _walk(value: Any, path: str, seen: set[str], faults: list[Fault]) -> None:
    if type(value) is list:
        for number, item in enumerate(value):
            if type(item) is dict:
                _walk(item, f"{path}[{number}]", seen, faults)
        return
    if "resourceType" in value:
        return
    id_ = value.get("id")
    if type(id_) is str:
        if id_ in seen:
            faults += fault("duplicate-id", f"元素的 id {shown(id_)} 在资源里重复", f"{path}.id")
        seen.add(id_)
    for name, inside in value.items():
        if type(inside) is dict or type(inside) is list:
            _walk(inside, f"{path}.{name}", seen, faults)
