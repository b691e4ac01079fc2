"""lowBoundary() and highBoundary(): the least and the greatest value that a value of its precision may stand for.

https://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import Any

from gateway.validation.fhirpath.items import Items, plain
from gateway.validation.fhirpath.operators import number_of, single
from gateway.validation.fhirpath.scope import Env, PathTypeError

__all__ = ["high_boundary", "low_boundary"]

DIGITS = 8
"""Decimals of a decimal's boundary when no precision is asked for."""
MOST = 31
_MOMENT = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d:\d\d)(?::(\d\d))?(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_TIME = re.compile(r"(\d\d:\d\d)(?::(\d\d))?(?:\.(\d+))?", re.ASCII)


def low_boundary(items: Items, env: Env, precision: Items | None = None) -> Items:
    """The least value. Empty for what has no boundary."""
    return _boundary(items, precision, high=False)


def high_boundary(items: Items, env: Env, precision: Items | None = None) -> Items:
    """The greatest value. Empty for what has no boundary."""
    return _boundary(items, precision, high=True)


def _boundary(items: Items, precision: Items | None, high: bool) -> Items:
    value = single(items)
    digits = DIGITS if precision is None else single(precision)
    if value is None or digits is None:
        return []
    if number_of(value):
        return _of_number(Decimal(value), digits, high)
    kind = items[0][1]
    apply = _OF_TEXT.get(kind) if isinstance(kind, str) else None
    if apply is None:
        raise PathTypeError("a boundary is that of a number, a date or a time")
    if precision is not None:
        raise PathTypeError("the precision of a date's or time's boundary cannot be chosen here")
    found = apply(plain(value), high)
    return [] if found is None else [(found, kind)]


def _of_number(value: Decimal, digits: Any, high: bool) -> Items:
    exponent = value.as_tuple().exponent
    if type(digits) is not int or not 0 <= digits <= MOST or not isinstance(exponent, int):
        return []
    with localcontext() as context:
        context.prec = 200
        half = Decimal(5).scaleb(min(exponent, 0) - 1)
        bound = value + half if high else value - half
        if bound.adjusted() > context.prec - MOST - 2:
            return []
        return [(bound.quantize(Decimal(1).scaleb(-digits), ROUND_CEILING if high else ROUND_FLOOR), "decimal")]


def _date(text: str, high: bool) -> str | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year = found[1]
    month = found[2] or ("12" if high else "01")
    return f"{year}-{month}-{found[3] or (monthrange(int(year), int(month))[1] if high else '01')}"


def _moment(text: str, high: bool) -> str | None:
    """A time without zone is at its least where the day begins first, at its greatest where it ends last."""
    found = _MOMENT.fullmatch(text)
    day = _date(text, high)
    if found is None or day is None:
        return None
    clock = _clock(found[4], found[5], found[6], high)
    return f"{day}T{clock}{found[7] or ('-12:00' if high else '+14:00')}"


def _time(text: str, high: bool) -> str | None:
    found = _TIME.fullmatch(text)
    return None if found is None else _clock(found[1], found[2], found[3], high)


def _clock(minute: str | None, second: str | None, fraction: str | None, high: bool) -> str:
    last = "9" if high else "0"
    minute = minute or ("23:59" if high else "00:00")
    return f"{minute}:{second or ('59' if high else '00')}.{(fraction or '').ljust(3, last)}"


_OF_TEXT: dict[str, Callable[[str, bool], str | None]] = {"date": _date, "dateTime": _moment, "instant": _moment, "time": _time}
