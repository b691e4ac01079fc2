"""An expression of a view as a function.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#constants: a constant's literal stands where `%name` stood. The
type of `getReferenceKey(Patient)`, which FHIRPath would read as an element, is written as a text. `%rowIndex` travels as `%rootResource`, which in a
view is `%resource`: a view's expressions begin at a resource of the store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.validation.fhirpath.compile import compiled
from gateway.validation.fhirpath.functions import FUNCTIONS
from gateway.validation.fhirpath.items import Items
from gateway.validation.fhirpath.scope import Env, Function, PathTypeError
from gateway.validation.fhirpath.syntax import PathSyntaxError
from gateway.views.definition import fault
from gateway.views.functions import OWN, subject

__all__ = ["environment", "expression", "spelled"]

_MEANT = re.compile(
    r"""(?P<kept>'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/)
    |%(?P<variable>[A-Za-z_]\w*)
    |\bgetReferenceKey\s*\(\s*(?P<type>\w+)\s*\)""",
    re.VERBOSE | re.DOTALL,
)

_VARIABLES = {"rowIndex": "%rootResource", "rootResource": "%resource"}
FUNCTIONS.update(OWN)  # the compiler looks functions up by name; no invariant of R4 calls one of these

_UNTYPED = (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, RecursionError, re.error)
"""What FHIRPath meets that is not typed: a function of texts on an object, too many arguments, a pattern that is none."""


def spelled(text: str, constants: Mapping[str, str]) -> str:
    """The expression without constants, as FHIRPath's compiler takes it."""

    def one(found: re.Match[str]) -> str:
        if found["variable"]:
            return _VARIABLES.get(found["variable"]) or constants.get(found["variable"], found[0])
        return f"getReferenceKey('{found['type']}')" if found["type"] else found[0]

    return _MEANT.sub(one, text)


def expression(text: str, constants: Mapping[str, str], place: str) -> Function:
    """The function of an expression. Raises ViewError that names the element, when it does not compile and when it cannot be evaluated."""
    try:
        function = compiled(spelled(text, constants))
    except (PathSyntaxError, PathTypeError, LookupError, RecursionError) as e:
        raise fault(place, f"`{text}` 不能用作 FHIRPath: {e}") from e
    return _placed(function, text, place)


def environment(resource: Items, row: int = 0) -> Env:
    """The variables of a view's expressions. row: `%rowIndex`, the place in what the nearest forEach, forEachOrNull or repeat goes over."""
    return Env(resource, [(row, "integer")], resource)


def _placed(function: Function, text: str, place: str) -> Function:
    def evaluated(focus: Items, env: Env) -> Items:
        try:
            return function(focus, env)
        except _UNTYPED as e:
            raise fault(place, f"`{text}` 在 {subject(env)} 上不能求值: {e}", "view-evaluation") from e

    return evaluated
