"""Rules of resource types that R4 states in prose: one module a type or topic, each a check of the whole resource."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.fhir.shape import Shape
from gateway.fhir.structure import One
from gateway.validation.profile.compile import Profiles
from gateway.validation.rules import (
    bundle,
    capability_statement,
    code_system,
    contained,
    declared,
    ids,
    search_parameter,
    structure_definition,
    value_set,
)

__all__ = ["of_resource"]

Rule = Callable[[Profiles], One]
_EVERY: Sequence[Rule] = (declared.rule, ids.rule)
_DOMAIN: Sequence[Rule] = (contained.rule,)
_BY_TYPE: dict[str, Sequence[Rule]] = {
    "Bundle": (bundle.rule,),
    "CapabilityStatement": (capability_statement.rule,),
    "CodeSystem": (code_system.rule,),
    "SearchParameter": (search_parameter.rule,),
    "StructureDefinition": (structure_definition.rule,),
    "ValueSet": (value_set.rule,),
}


def of_resource(shape: Shape, profiles: Profiles) -> list[One]:
    """The rules for a resource type."""
    domain = _DOMAIN if "contained" in shape.elements else ()
    return [rule(profiles) for rule in (*_EVERY, *domain, *_BY_TYPE.get(shape.name, ()))]
