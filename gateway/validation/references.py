"""References of a validated resource: their form, and the types that an element allows (https://hl7.org/fhir/R4/references.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.fhir.elements import Element
from gateway.fhir.profiles import SPEC
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Faults, fault, reference, shown
from gateway.validation.scope import resolved

__all__ = ["local_references", "target_types"]

_LOCAL = re.compile(r"#\S+")


def target_types(element: Element) -> One:
    """`gateway.fhir.structure_values.reference`, where a wrong type is an error when the target is at hand, and a warning when it is elsewhere."""
    check = reference(element)
    targets = frozenset(element.targets) if element.targets and "Resource" not in element.targets else None

    def strict(value: dict[str, Any]) -> Faults:
        faults = check(value)
        literal, stated = value.get("reference"), value.get("type")
        if targets is not None and type(stated) is str and stated.removeprefix(SPEC) not in targets:
            return fault("bad-reference", f"这里不该引用 {shown(stated)}; 应是 {'、'.join(sorted(targets))}", ".type")
        inside = resolved(literal) if targets is not None and type(literal) is str else None
        if inside is not None and str(inside.get("resourceType")) not in (targets or ()):
            message = f"这里不该引用 {shown(inside.get('resourceType'))}; 应是 {'、'.join(sorted(targets or ()))}"
            return fault("bad-reference", message, ".reference")
        if faults is None:
            return None
        return [(p, code, m.removesuffix("; 已照原样保留"), "drop" if severity == "note" else severity) for p, code, m, severity in faults]

    return strict


def local_references(value: Any) -> Iterator[str]:
    """Every fragment (`#id`) that a resource's references, canonicals, URIs and URLs name, those of contained resources too."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if type(inside) is str:
                if name != "id" and name != "div" and _LOCAL.fullmatch(inside):
                    yield inside[1:]
            elif type(inside) is dict or type(inside) is list:
                yield from local_references(inside)
    elif isinstance(value, list):
        for inside in value:
            if type(inside) is str:
                if _LOCAL.fullmatch(inside):
                    yield inside[1:]
            else:
                yield from local_references(inside)
