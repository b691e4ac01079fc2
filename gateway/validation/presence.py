"""Invariants without FHIRPath's collections: presence, absence, counts and comparison with literals, as look-ups in one JSON object.

http://hl7.org/fhirpath/N1/#boolean-logic. What needs more is evaluated as FHIRPath where it stands, with the same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.fhir.shape import Shape
from gateway.validation.fhirpath.compile import compiled_tree
from gateway.validation.fhirpath.items import Items, named_slots
from gateway.validation.fhirpath.operators import truth
from gateway.validation.fhirpath.scope import Env
from gateway.validation.fhirpath.syntax import Binary, Call, Expression, Literal, Member, This, parse

__all__ = ["Quick", "quick"]

Quick = Callable[[dict[str, Any]], bool | None]
"""Whether it is true of the object; None when it is open (a comparison with what is not there)."""
Values = Callable[[dict[str, Any]], list[Any]]


def quick(expression: str, shape: Shape) -> Quick:
    """The test of an object of this shape: look-ups as far as they reach, FHIRPath for the parts that need more."""
    return _whole(parse(expression), shape)


def _whole(tree: Expression, shape: Shape) -> Quick:
    return _test(tree, shape) or _evaluated(tree, shape)


def _evaluated(tree: Expression, shape: Shape) -> Quick:
    evaluate = compiled_tree(tree)

    def test(value: dict[str, Any]) -> bool | None:
        focus: Items = [(value, shape)]
        found = evaluate(focus, Env(focus, focus, focus))
        return truth(found) if len(found) < 2 else None

    return test


def _test(tree: Expression, shape: Shape) -> Quick | None:
    match tree:
        case Binary("and" | "or" | "implies" | "xor" as operator, left, right):
            return _LOGIC[operator](_whole(left, shape), _whole(right, shape))
        case Binary("=" | "!=" as operator, left, Literal(value, type_)) if type_ in ("string", "boolean", "integer"):
            return _compared(left, value, shape, operator == "=")
        case Call(on, "contains" | "startsWith" | "endsWith" as name, (Literal(str() as part, "string"),)):
            return _texted(on, shape, _TEXTS[name], part)
        case Call(on, "not", ()):
            inner = _test(on, shape)
            return None if inner is None else _not(inner)
        case Call(on, "exists", ()):
            return _present(on, shape) or _reached(tree, on, shape)
        case Call(on, "hasValue", ()):
            return _valued(on, shape)
        case Call(on, "empty", ()):
            found = _present(on, shape)
            if found is not None:
                return _not(found)
            reached = _reached(Call(on, "exists", ()), on, shape)
            return None if reached is None else _not(reached)
        case _:
            return None


def _reached(tree: Expression, on: Expression, shape: Shape) -> Quick | None:
    """`contained.meta.versionId.exists()`, `coding.where(…).exists()`: looked into only where the first step leads somewhere."""
    if isinstance(on, Member) and (within := _within(on, shape)) is not None:
        return within
    first = on
    while isinstance(first, Member | Call) and _names(first, shape) is None:
        first = first.on
    present = _present(first, shape) if isinstance(first, Member) else None
    return None if present is None or isinstance(on, This) else _and(present, _evaluated(tree, shape))


def _within(tree: Member, shape: Shape) -> Quick | None:
    """`text.div.exists()`, where the first step leads to one object."""
    name = _step(tree.on, shape)
    slots = named_slots(shape, name) if name is not None else ()
    if len(slots) != 1 or slots[0].kind != "complex" or slots[0].many:
        return None
    own, inner = slots[0].name, _present(Member(This(), tree.name), shape.below(slots[0]))
    return None if inner is None else lambda value: own in value and inner(value[own])


def _step(tree: Expression, shape: Shape) -> str | None:
    """The name of a single step from the focus; None for anything else."""
    if isinstance(tree, Member) and isinstance(tree.on, Member) and isinstance(tree.on.on, This) and tree.on.name == shape.name:
        return tree.name  # `Appointment.status`
    if isinstance(tree, Member) and isinstance(tree.on, This) and not tree.name[0].isupper():
        return tree.name
    return None


def _names(tree: Expression, shape: Shape) -> list[str] | None:
    """The JSON names under which a single step finds something."""
    name = _step(tree, shape)
    if name is None:
        return None
    return [n for s in named_slots(shape, name) for n in ((s.name, f"_{s.name}") if s.kind == "primitive" else (s.name,))]


def _present(tree: Expression, shape: Shape) -> Quick | None:
    names = _names(tree, shape)
    if names is None:
        return None
    if len(names) == 1:
        only = names[0]
        return lambda value: only in value
    if len(names) == 2:
        first, second = names
        return lambda value: first in value or second in value
    absent = frozenset(names).isdisjoint
    return lambda value: not absent(value)


def _valued(tree: Expression, shape: Shape) -> Quick | None:
    """`start.hasValue()` of a primitive that occurs once."""
    name = _step(tree, shape)
    slots = named_slots(shape, name) if name is not None else ()
    if len(slots) != 1 or slots[0].kind != "primitive" or slots[0].many:
        return None
    own = slots[0].name
    return lambda value: own in value


def _texted(tree: Expression, shape: Shape, test: Callable[[str, str], bool], part: str) -> Quick | None:
    """`fullUrl.contains('x')` of a text that occurs once."""
    name = _step(tree, shape)
    slots = named_slots(shape, name) if name is not None else ()
    if len(slots) != 1 or slots[0].kind != "primitive" or slots[0].many:
        return None
    own = slots[0].name

    def look(value: dict[str, Any]) -> bool | None:
        held = value.get(own)
        return test(held, part) if type(held) is str else None

    return look


_TEXTS: dict[str, Callable[[str, str], bool]] = {"contains": str.__contains__, "startsWith": str.startswith, "endsWith": str.endswith}


def _compared(tree: Expression, literal: Any, shape: Shape, wanted: bool) -> Quick | None:
    """`status = 'x'` of an element that occurs once."""
    name = _step(tree, shape)
    slots = named_slots(shape, name) if name is not None else ()
    if len(slots) != 1 or slots[0].kind != "primitive" or slots[0].many:
        return None
    own = slots[0].name

    def compare(value: dict[str, Any]) -> bool | None:
        held = value.get(own)
        return None if held is None else (held == literal) is wanted

    return compare


def _not(test: Quick) -> Quick:
    def negated(value: dict[str, Any]) -> bool | None:
        found = test(value)
        return None if found is None else not found

    return negated


def _and(a: Quick, b: Quick) -> Quick:
    def both(value: dict[str, Any]) -> bool | None:
        first = a(value)
        if first is False:
            return False
        second = b(value)
        return False if second is False else None if first is None or second is None else True

    return both


def _or(a: Quick, b: Quick) -> Quick:
    def either(value: dict[str, Any]) -> bool | None:
        first = a(value)
        if first:
            return True
        second = b(value)
        return True if second else None if first is None or second is None else False

    return either


def _implies(a: Quick, b: Quick) -> Quick:
    return _or(_not(a), b)


def _xor(a: Quick, b: Quick) -> Quick:
    def one_of(value: dict[str, Any]) -> bool | None:
        first, second = a(value), b(value)
        return None if first is None or second is None else first is not second

    return one_of


_LOGIC = {"and": _and, "or": _or, "implies": _implies, "xor": _xor}
