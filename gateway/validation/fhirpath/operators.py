"""Operators of FHIRPath on collections (http://hl7.org/fhirpath/N1/#operations)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any

from gateway.fhir.time import interval
from gateway.validation.fhirpath.items import Item, Items, plain
from gateway.validation.fhirpath.scope import Env, Function, PathTypeError

__all__ = ["LOGIC", "OPERATORS", "boolean", "distinct", "equal", "equivalent", "number_of", "same", "single", "truth"]

TRUE: Items = [(True, "boolean")]
FALSE: Items = [(False, "boolean")]
_MOMENTS = frozenset({"date", "dateTime", "instant"})


def boolean(value: bool | None) -> Items:
    """A truth value as a collection; None as the empty one."""
    return [] if value is None else TRUE if value else FALSE


def truth(items: Items) -> bool | None:
    """A collection as a truth value: None when it is empty; a single item that is no boolean counts as true."""
    if not items:
        return None
    value = plain(items[0][0])
    return value if type(value) is bool else True


def single(items: Items) -> Any:
    """The value of a collection of one; None when it is empty. Raises PathTypeError when there are more."""
    if not items:
        return None
    if len(items) > 1:
        raise PathTypeError("one item expected")
    return plain(items[0][0])


def number_of(value: Any) -> bool:
    """Whether a value is a number."""
    return type(value) is int or isinstance(value, Decimal)


def same(left: Item, right: Item) -> bool | None:
    """`=` of two items; None when dates of unlike precision cannot be told apart."""
    a, b = plain(left[0]), plain(right[0])
    if left[1] in _MOMENTS and right[1] in _MOMENTS and a != b:
        return _order_of_moments(a, b, lambda x, y: x == y)
    if type(a) is bool or type(b) is bool:
        return a is b
    return bool(a == b)


def equal(left: Items, right: Items) -> bool | None:
    """`=` of two collections."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    verdicts = [same(a, b) for a, b in zip(left, right, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def equivalent(left: Items, right: Items) -> bool:
    """`~` of two collections: order and case do not count."""
    if len(left) != len(right):
        return False
    rest = [_folded(plain(v)) for v, _ in right]
    for value, _ in left:
        folded = _folded(plain(value))
        if folded not in rest:
            return False
        rest.remove(folded)
    return True


def _folded(value: Any) -> Any:
    return " ".join(value.casefold().split()) if isinstance(value, str) else value


def distinct(items: Items) -> Items:
    """The items without repetitions."""
    seen: set[Any] = set()
    found: Items = []
    for item in items:
        value = plain(item[0])
        if isinstance(value, dict | list):
            if not any(same(item, other) for other in found):
                found.append(item)
        elif (value, type(value) is bool) not in seen:
            seen.add((value, type(value) is bool))
            found.append(item)
    return found


def _holds(items: Items, one: Item) -> bool:
    return any(same(item, one) is True for item in items)


def _union(left: Items, right: Items) -> Items:
    return distinct(left + right)


def _in(left: Items, right: Items) -> Items:
    return [] if not left else boolean(_holds(right, left[0]))


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _order(test: Callable[[Any, Any], bool]) -> Callable[[Items, Items], Items]:
    def compare(left: Items, right: Items) -> Items:
        a, b = single(left), single(right)
        if a is None or b is None:
            return []
        if left[0][1] in _MOMENTS or right[0][1] in _MOMENTS:
            return boolean(_order_of_moments(a, b, test))
        if type(a) is dict and type(b) is dict:
            return _order_of_quantities(a, b, test)
        if number_of(a) == number_of(b) and (number_of(a) or type(a) is type(b) is str):
            return boolean(test(a, b))
        return []

    return compare


def _order_of_moments(a: Any, b: Any, test: Callable[[Any, Any], bool]) -> bool | None:
    """Two dates; None when one covers the other, so that the order is open."""
    first, second = interval(a), interval(b)
    if first is None or second is None:
        return None
    if first == second or first[1] < second[0] or second[1] < first[0]:
        return test(first, second)
    return test(first, second) if len(a) > 19 and len(b) > 19 else None  # fractions of a second are one precision


def _order_of_quantities(a: dict[str, Any], b: dict[str, Any], test: Callable[[Any, Any], bool]) -> Items:
    """Two quantities of one unit; empty for unlike units."""
    if (a.get("code") or a.get("unit")) != (b.get("code") or b.get("unit")) or not (number_of(a.get("value")) and number_of(b.get("value"))):
        return []
    return boolean(test(a["value"], b["value"]))


def _calculate(apply: Callable[[Any, Any], Any]) -> Callable[[Items, Items], Items]:
    def calculated(left: Items, right: Items) -> Items:
        a, b = single(left), single(right)
        if not number_of(a) or not number_of(b):
            return []
        try:
            value = apply(a, b)
        except (ZeroDivisionError, DivisionByZero, InvalidOperation):
            return []
        return [(value, "integer" if type(value) is int else "decimal")]

    return calculated


def _plus(left: Items, right: Items) -> Items:
    a, b = single(left), single(right)
    if isinstance(a, str) and isinstance(b, str):
        return [(a + b, "string")]
    return _calculate(lambda x, y: x + y)(left, right)


def _joined(left: Items, right: Items) -> Items:
    a, b = single(left), single(right)
    return [(f"{'' if a is None else a}{'' if b is None else b}", "string")]


OPERATORS: dict[str, Callable[[Items, Items], Items]] = {
    "=": lambda a, b: boolean(equal(a, b)),
    "!=": lambda a, b: boolean(_not(equal(a, b))),
    "~": lambda a, b: boolean(equivalent(a, b)),
    "!~": lambda a, b: boolean(not equivalent(a, b)),
    "<": _order(lambda a, b: a < b),
    ">": _order(lambda a, b: a > b),
    "<=": _order(lambda a, b: a <= b),
    ">=": _order(lambda a, b: a >= b),
    "|": _union,
    "in": _in,
    "contains": lambda a, b: _in(b, a),
    "+": _plus,
    "&": _joined,
    "-": _calculate(lambda a, b: a - b),
    "*": _calculate(lambda a, b: a * b),
    "/": _calculate(lambda a, b: Decimal(a) / Decimal(b)),
    "div": _calculate(lambda a, b: int(Decimal(a) // Decimal(b))),
    "mod": _calculate(lambda a, b: a % b),
}


def _and(left: Function, right: Function) -> Function:
    def both(focus: Items, env: Env) -> Items:
        a = truth(left(focus, env))
        if a is False:
            return FALSE
        b = truth(right(focus, env))
        return FALSE if b is False else boolean(None if a is None or b is None else True)

    return both


def _or(left: Function, right: Function) -> Function:
    def either(focus: Items, env: Env) -> Items:
        a = truth(left(focus, env))
        if a is True:
            return TRUE
        b = truth(right(focus, env))
        return TRUE if b is True else boolean(None if a is None or b is None else False)

    return either


def _implies(left: Function, right: Function) -> Function:
    def implied(focus: Items, env: Env) -> Items:
        a = truth(left(focus, env))
        if a is False:
            return TRUE
        b = truth(right(focus, env))
        return TRUE if b is True else boolean(None if a is None else b)

    return implied


def _xor(left: Function, right: Function) -> Function:
    def one_of(focus: Items, env: Env) -> Items:
        a, b = truth(left(focus, env)), truth(right(focus, env))
        return boolean(None if a is None or b is None else a is not b)

    return one_of


LOGIC: dict[str, Callable[[Function, Function], Function]] = {"and": _and, "or": _or, "implies": _implies, "xor": _xor}
"""Operators that look at their right side only when the left one does not decide."""
