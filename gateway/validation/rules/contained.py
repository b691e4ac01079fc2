"""Contained resources are referred to from the resource, or refer to it (dom-3, https://hl7.org/fhir/R4/references.html#contained)."""

from __future__ import annotations

from typing import Any

from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, Faults, fault, shown
from gateway.validation.profile.compile import Profiles
from gateway.validation.references import local_references

__all__ = ["rule"]


def rule(profiles: Profiles) -> One:
    """Check of a resource that may contain others."""

    def check(resource: dict[str, Any]) -> Faults:
        held = resource.get("contained")
        return None if held is None else _unreferred(resource, held)

    return check


def _unreferred(resource: dict[str, Any], held: list[dict[str, Any]]) -> Faults:
    named = set(local_references(resource))
    faults: list[Fault] = []
    for number, inside in enumerate(held):
        id_ = inside.get("id")
        if id_ is None:
            faults += fault("missing-element", "contained 里的资源必须有 id", f".contained[{number}].id")
        elif id_ not in named and not _refers_to_holder(inside):
            faults += fault("unused-contained", f"没有地方引用 contained 里的 {shown(id_)} (dom-3)", f".contained[{number}]")
    return faults or None


def _refers_to_holder(value: Any) -> bool:
    """Whether a contained resource names the one that holds it by `#`."""
    if isinstance(value, dict):
        return any(v == "#" if type(v) is str else _refers_to_holder(v) for v in value.values())
    return isinstance(value, list) and any(v == "#" if type(v) is str else _refers_to_holder(v) for v in value)
