"""Invariants of elements as checks of JSON objects (https://hl7.org/fhir/R4/conformance-rules.html#constraints).

What asks only for presence or compares with a literal becomes look-ups in the object (`gateway.validation.presence`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.fhir.shape import Shape
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Faults
from gateway.validation.definitions import Constraint
from gateway.validation.fhirpath.compile import compiled, is_true
from gateway.validation.fhirpath.items import Items
from gateway.validation.fhirpath.scope import Env
from gateway.validation.presence import quick

__all__ = ["NATIVE", "checks", "failed"]

NATIVE = frozenset({"dom-2", "dom-3", "ref-1", "txt-1", "txt-2", "ele-1", "ext-1", "bdl-3", "bdl-4", "bdl-7"})
"""Invariants that the structure check, or a rule of its own, judges without FHIRPath: what every resource or every entry is asked."""


def failed(constraint: Constraint) -> Faults:
    """The fault of an invariant that does not hold."""
    return [("", "broken-invariant", f"不满足 {constraint.key}: {constraint.human}", "refuse" if constraint.error else "drop")]


def checks(shape: Shape | str, constraints: Iterable[Constraint]) -> list[One]:
    """A check for each constraint on a value of this kind; those that need `%resource` elsewhere than at a resource are left out."""
    resource = type(shape) is Shape and shape.resource
    return [_check(shape, c) for c in constraints if c.key not in NATIVE and (resource or not any(v in c.expression for v in ("%resource", "%root")))]


def _check(shape: Shape | str, constraint: Constraint) -> One:
    fault = failed(constraint)
    if isinstance(shape, Shape):
        test = quick(constraint.expression, shape)
        return lambda value: None if test(value) else fault
    evaluate = compiled(constraint.expression)

    def check(value: Any) -> Faults:
        focus: Items = [(value, shape)]
        return None if is_true(evaluate(focus, Env(focus, focus, focus))) else fault

    return check
