"""Capability statements: a search parameter of R4 is declared with its own type (https://hl7.org/fhir/R4/capabilitystatement.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, fault
from gateway.validation.profile.compile import Profiles
from gateway.validation.rules.search_parameter import type_of

__all__ = ["rule"]


def rule(profiles: Profiles) -> One:
    """Check of a CapabilityStatement."""
    return lambda resource: list(_faults(resource)) or None


def _faults(statement: dict[str, Any]) -> Iterator[Fault]:
    for number, rest in enumerate(statement.get("rest", ())):
        for at, resource in enumerate(rest.get("resource", ())):
            for index, one in enumerate(resource.get("searchParam", ())):
                known = type_of(str(one.get("definition", "")))
                if known is not None and one.get("type") != known:
                    place = f".rest[{number}].resource[{at}].searchParam[{index}].type"
                    yield from fault("wrong-type", f"{one['definition']} 的类型是 {known}, 这里却是 {one.get('type')}", place)
