"""Search parameters: a composite names its components; one that is derived keeps its type (https://hl7.org/fhir/R4/searchparameter.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, fault
from gateway.validation.profile.compile import Profiles

__all__ = ["rule", "type_of"]

_SPEC = "http://hl7.org/fhir/SearchParameter/"


def rule(profiles: Profiles) -> One:
    """Check of a SearchParameter."""
    return lambda resource: list(_faults(resource)) or None


def type_of(url: str) -> str | None:
    """The type of a search parameter of R4 by its canonical URL; None for others."""
    url = url.partition("|")[0]
    base = url.removeprefix(_SPEC).partition("-")[0]
    if not url.startswith(_SPEC) or not load().is_resource(base):
        return None
    return next((p.type for p in load().search(base).values() if p.url == url), None)


def _faults(resource: dict[str, Any]) -> Iterator[Fault]:
    if resource.get("type") == "composite" and len(resource.get("component", ())) < 2:
        yield from fault("missing-element", "composite 的检索参数至少要有两个 component", ".component")
    origin = str(resource.get("derivedFrom", ""))
    known = type_of(origin)
    if known is not None and known != resource.get("type"):
        yield from fault("wrong-type", f"{origin} 的类型是 {known}, 这里却是 {resource.get('type')}", ".type")
