"""A FHIRPath expression as one function.

http://hl7.org/fhirpath/N1/. `compiled(text)` gives a function of a collection and an `Env`; `predicate(text, shape)` one of a single object that
says whether the expression is true there: what only asks for presence or compares with a literal becomes look-ups in the object.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gateway.validation.fhirpath import operators, syntax
from gateway.validation.fhirpath.functions import FUNCTIONS, LAMBDAS
from gateway.validation.fhirpath.items import Items, is_type, member, resource_item
from gateway.validation.fhirpath.scope import VARIABLES, Env, Function, PathTypeError

__all__ = ["compiled", "compiled_tree", "environment", "is_true"]


@lru_cache(maxsize=8192)
def compiled(text: str) -> Function:
    """The function of an expression. Raises PathSyntaxError, or PathTypeError for a function that is not known."""
    return compiled_tree(syntax.parse(text))


def is_true(found: Items) -> bool:
    """A result as the answer of an invariant: nothing is no, one thing that is no boolean is yes (singleton evaluation)."""
    return len(found) == 1 and operators.truth(found) is True


def compiled_tree(tree: syntax.Expression) -> Function:
    """The function of a part of an expression."""
    match tree:
        case syntax.This():
            return lambda focus, env: focus
        case syntax.Literal(value, type_):
            items: Items = [] if type_ == "" else [(value, type_)]
            return lambda focus, env: items
        case syntax.Variable(name):
            return _variable(name)
        case syntax.Member(on, name):
            return _member(on, name)
        case syntax.Index(on, at):
            return _index(compiled_tree(on), compiled_tree(at))
        case syntax.Unary(operator, on):
            return _unary(operator, compiled_tree(on))
        case syntax.TypeTest(operator, on, type_):
            return _type_test(operator, compiled_tree(on), type_)
        case syntax.Binary(operator, left, right):
            return _binary(operator, compiled_tree(left), compiled_tree(right))
        case syntax.Call(on, name, arguments):
            return _call(on, name, arguments)


def _variable(name: str) -> Function:
    if name in VARIABLES:
        items: Items = [(VARIABLES[name], "string")]
        return lambda focus, env: items
    if name in ("resource", "rootResource", "context"):
        attribute = {"resource": "resource", "rootResource": "root", "context": "context"}[name]
        return lambda focus, env: getattr(env, attribute)
    if name == "$index":
        return lambda focus, env: [(env.index, "integer")]
    if name == "$total":
        return lambda focus, env: env.total or []
    if name.startswith("vs-"):
        return lambda focus, env: [(f"http://hl7.org/fhir/ValueSet/{name[3:]}", "string")]
    if name.startswith("ext-"):
        return lambda focus, env: [(f"http://hl7.org/fhir/StructureDefinition/{name[4:]}", "string")]
    raise PathTypeError(f"%{name} is no variable of R4")


def _member(on: syntax.Expression, name: str) -> Function:
    """A step; a type's name at the beginning stands for the focus itself (`Patient.name`)."""
    step = member(name)
    if type(on) is not syntax.This:
        inner = compiled_tree(on)
        return lambda focus, env: step(inner(focus, env))
    if name[0].isupper():
        return lambda focus, env: [item for item in focus if is_type(item[1], name)]
    return lambda focus, env: step(focus)


def _index(on: Function, at: Function) -> Function:
    def pick(focus: Items, env: Env) -> Items:
        number = operators.single(at(focus, env))
        held = on(focus, env)
        return [] if number is None or not 0 <= number < len(held) else [held[number]]

    return pick


def _unary(operator: str, on: Function) -> Function:
    if operator == "+":
        return on
    return lambda focus, env: [(-value, kind) for value, kind in on(focus, env)]


def _type_test(operator: str, on: Function, type_: str) -> Function:
    if operator == "as":
        return lambda focus, env: [item for item in on(focus, env) if is_type(item[1], type_)]

    def test(focus: Items, env: Env) -> Items:
        held = on(focus, env)
        return operators.boolean(is_type(held[0][1], type_)) if len(held) == 1 else []

    return test


def _binary(operator: str, left: Function, right: Function) -> Function:
    if operator in operators.LOGIC:
        return operators.LOGIC[operator](left, right)
    apply = operators.OPERATORS[operator]
    return lambda focus, env: apply(left(focus, env), right(focus, env))


def _call(on: syntax.Expression, name: str, arguments: tuple[syntax.Expression, ...]) -> Function:
    """A function; the arguments of a lambda are evaluated for each item, those of others for the focus."""
    inner = compiled_tree(on)
    given = [compiled_tree(a) for a in arguments]
    if name in LAMBDAS:
        apply_each = LAMBDAS[name]
        return lambda focus, env: apply_each(inner(focus, env), given, env)
    if name not in FUNCTIONS:
        raise PathTypeError(f"{name}() is no function of FHIRPath that is known here")
    apply: Callable[..., Items] = FUNCTIONS[name]
    if not given:
        return lambda focus, env: apply(inner(focus, env), env)
    return lambda focus, env: apply(inner(focus, env), env, *(g(focus, env) for g in given))


def environment(resource: dict[str, Any], root: dict[str, Any] | None = None) -> Env:
    """The variables of an evaluation inside a resource."""
    held = resource_item(resource)
    return Env(held, held if root is None else resource_item(root), held)
