"""Functions of FHIRPath (http://hl7.org/fhirpath/N1/#functions) and those that FHIR adds (https://hl7.org/fhir/R4/fhirpath.html#functions)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from gateway.validation.fhirpath.items import Items, children, descendants, member, plain, resource_item
from gateway.validation.fhirpath.operators import boolean, distinct, equal, same, single, truth
from gateway.validation.fhirpath.scope import Env, Function

__all__ = ["FUNCTIONS", "LAMBDAS"]

Lambda = Callable[[Items, list[Function], Env], Items]


def _each(items: Items, given: list[Function], env: Env) -> list[Items]:
    """What the criterion gives for every item."""
    return [given[0]([item], env.at(number)) for number, item in enumerate(items)]


def _where(items: Items, given: list[Function], env: Env) -> Items:
    return [item for item, found in zip(items, _each(items, given, env), strict=True) if truth(found) is True]


def _exists(items: Items, given: list[Function], env: Env) -> Items:
    return boolean(bool(_where(items, given, env)) if given else bool(items))


def _all(items: Items, given: list[Function], env: Env) -> Items:
    return boolean(all(truth(found) is True for found in _each(items, given, env)))


def _select(items: Items, given: list[Function], env: Env) -> Items:
    return [item for found in _each(items, given, env) for item in found]


def _repeat(items: Items, given: list[Function], env: Env) -> Items:
    found: Items = []
    waiting = items
    while waiting:
        waiting = [item for item in _select(waiting, given, env) if not any(same(item, known) for known in found)]
        found += waiting
    return found


def _iif(items: Items, given: list[Function], env: Env) -> Items:
    if truth(given[0](items, env)) is True:
        return given[1](items, env)
    return given[2](items, env) if len(given) > 2 else []


def _aggregate(items: Items, given: list[Function], env: Env) -> Items:
    total = given[1](items, env) if len(given) > 1 else []
    for number, item in enumerate(items):
        total = given[0]([item], env.at(number, total))
    return total


LAMBDAS: dict[str, Lambda] = {
    "where": _where,
    "exists": _exists,
    "all": _all,
    "select": _select,
    "repeat": _repeat,
    "iif": _iif,
    "aggregate": _aggregate,
    "trace": lambda items, given, env: items,
}
"""Functions whose arguments are evaluated for each item."""


def _truths(items: Items) -> list[bool | None]:
    return [truth([item]) for item in items]


def _text(apply: Callable[..., Any], type_: str) -> Callable[..., Items]:
    """A function of a text, with the values of its arguments; nothing of nothing."""

    def of_text(items: Items, env: Env, *given: Items) -> Items:
        value = single(items)
        arguments = [single(g) for g in given]
        if value is None or None in arguments:
            return []
        found = apply(str(value), *arguments)
        return [] if found is None else [(found, type_)]

    return of_text


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + length]


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _to_text(items: Items, env: Env) -> Items:
    value = single(items)
    if value is None or isinstance(value, dict):
        return []
    return [(str(value).lower() if type(value) is bool else str(value), "string")]


def _to_boolean(items: Items, env: Env) -> Items:
    found = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(str(single(items)).lower())
    return boolean(found)


def _has_value(items: Items, env: Env) -> Items:
    return boolean(len(items) == 1 and type(items[0][1]) is str and plain(items[0][0]) is not None)


def _get_value(items: Items, env: Env) -> Items:
    return [(single(items), items[0][1])] if truth(_has_value(items, env)) else []


def _subset(left: Items, right: Items) -> bool:
    return all(any(same(a, b) is True for b in right) for a in left)


def _both(items: Items, other: Items) -> Items:
    return distinct([item for item in items if any(same(item, o) is True for o in other)])


def _resolve(items: Items, env: Env) -> Items:
    found: Items = []
    for value, _ in items:
        text = value.get("reference") if type(value) is dict else plain(value)
        resource = env.resolve(text) if isinstance(text, str) else None
        if resource is not None:
            found += resource_item(resource)
    return found


def _extension(items: Items, env: Env, url: Items) -> Items:
    wanted = single(url)
    extensions = member("extension")(items)
    return [(value, kind) for value, kind in extensions if type(value) is dict and value.get("url") == wanted]


def _count(items: Items) -> Items:
    return [(len(items), "integer")]


def _not(items: Items, env: Env) -> Items:
    value = truth(items)
    return [] if value is None else boolean(not value)


def _joined(items: Items, env: Env, separator: Items) -> Items:
    return [(str(single(separator) or "").join(str(plain(v)) for v, _ in items), "string")] if items else []


FUNCTIONS: dict[str, Callable[..., Items]] = {
    "empty": lambda items, env: boolean(not items),
    "not": _not,
    "count": lambda items, env: _count(items),
    "allTrue": lambda items, env: boolean(all(t is True for t in _truths(items))),
    "anyTrue": lambda items, env: boolean(any(t is True for t in _truths(items))),
    "allFalse": lambda items, env: boolean(all(t is False for t in _truths(items))),
    "anyFalse": lambda items, env: boolean(any(t is False for t in _truths(items))),
    "first": lambda items, env: items[:1],
    "last": lambda items, env: items[-1:],
    "tail": lambda items, env: items[1:],
    "single": lambda items, env: items[:1] if single(items[:2]) is not None else [],
    "skip": lambda items, env, number: items[max(single(number) or 0, 0) :],
    "take": lambda items, env, number: items[: max(single(number) or 0, 0)],
    "distinct": lambda items, env: distinct(items),
    "isDistinct": lambda items, env: boolean(len(distinct(items)) == len(items)),
    "union": lambda items, env, other: distinct(items + other),
    "combine": lambda items, env, other: items + other,
    "intersect": lambda items, env, other: _both(items, other),
    "exclude": lambda items, env, other: [item for item in items if not any(same(item, o) is True for o in other)],
    "subsetOf": lambda items, env, other: boolean(_subset(items, other)),
    "supersetOf": lambda items, env, other: boolean(_subset(other, items)),
    "equals": lambda items, env, other: boolean(equal(items, other)),
    "children": lambda items, env: children(items),
    "descendants": lambda items, env: list(descendants(items)),
    "hasValue": _has_value,
    "getValue": _get_value,
    "resolve": _resolve,
    "extension": _extension,
    "length": _text(len, "integer"),
    "startsWith": _text(lambda text, start: text.startswith(start), "boolean"),
    "endsWith": _text(lambda text, end: text.endswith(end), "boolean"),
    "contains": _text(lambda text, part: part in text, "boolean"),
    "matches": _text(lambda text, pattern: _pattern(pattern).fullmatch(text) is not None, "boolean"),
    "replaceMatches": _text(lambda text, pattern, by: _pattern(pattern).sub(by, text), "string"),
    "replace": _text(lambda text, old, new: text.replace(old, new), "string"),
    "substring": _text(_substring, "string"),
    "indexOf": _text(lambda text, part: text.find(part), "integer"),
    "upper": _text(lambda text: text.upper(), "string"),
    "lower": _text(lambda text: text.lower(), "string"),
    "trim": _text(lambda text: text.strip(), "string"),
    "toInteger": _text(_integer, "integer"),
    "toDecimal": _text(_decimal, "decimal"),
    "toString": _to_text,
    "toBoolean": _to_boolean,
    "join": _joined,
}
"""Functions whose arguments are evaluated once."""
