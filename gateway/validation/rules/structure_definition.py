"""Profiles: each element of the differential is one that the type has (https://hl7.org/fhir/R4/structuredefinition.html)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.elements import Element, load
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, fault, shown
from gateway.validation.profile.compile import Profiles

__all__ = ["rule"]


def rule(profiles: Profiles) -> One:
    """Check of a StructureDefinition that constrains a type of R4."""
    return lambda resource: list(_faults(resource)) or None


def _faults(resource: dict[str, Any]) -> Iterator[Fault]:
    type_ = resource.get("type")
    if resource.get("derivation") != "constraint" or type(type_) is not str or type_ not in load().types:
        return
    for number, element in enumerate(resource.get("differential", {}).get("element", ())):
        path = element.get("path")
        if type(path) is str and not _exists(path, type_):
            yield from fault("unknown-path", f"{type_} 没有 {shown(path)} 这个元素", f".differential.element[{number}].path")


def _exists(path: str, type_: str) -> bool:
    """Whether the steps lead to an element; what stands below a choice of several types is not asked."""
    first, *steps = path.split(".")
    if first != type_:
        return False
    elements: Mapping[str, Element] = load().types[type_].elements
    for step in steps:
        found = load().element(elements, step)
        plain = elements.get(step)
        if found is None and plain is None:
            return False
        element = plain if found is None else found[0]
        types = element.types if element is not None else ()
        if found is None and len(types) != 1:
            return True
        elements = load().children(element, types[0] if found is None else found[1]) if element is not None else {}
        if "Resource" in types:
            return True
    return True
