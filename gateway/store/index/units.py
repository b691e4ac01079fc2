"""Quantities in the base units of their dimension, so that 5.4 g/L is found by 540 mg/dL (https://hl7.org/fhir/R4/search.html#quantity)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from gateway.fhir.ucum import SYSTEM, UnitError, parse

__all__ = ["Base", "base_of"]

Number = Decimal | int | float


class Base(NamedTuple):
    """A unit in base units: value * factor + offset, of a dimension written as `g1.m-3`."""

    dimension: str
    factor: Fraction
    offset: Fraction
    exponent: int | None  # of the factor, when it is a power of ten and there is no offset

    def of(self, number: Number) -> Number | Fraction:
        """The number in base units, exactly."""
        if self.exponent is not None and isinstance(number, Decimal):
            return number.scaleb(self.exponent) if self.exponent else number
        return Fraction(number) * self.factor + self.offset


@lru_cache(maxsize=2048)
def base_of(system: str | None, code: str | None) -> Base | None:
    """What a UCUM code stands for; None for other systems and for codes that are not understood."""
    if system != SYSTEM or not code:
        return None
    try:
        unit = parse(code)
    except UnitError:
        return None
    dimension = ".".join(f"{base}{power}" for base, power in unit.dimension)
    return Base(dimension or "1", unit.factor, unit.offset, _power_of_ten(unit.factor) if not unit.offset else None)


def _power_of_ten(factor: Fraction) -> int | None:
    up, down = str(factor.numerator), str(factor.denominator)
    if up.strip("0") == down.strip("0") == "1" and "1" in (up, down):
        return len(up) - 1 if down == "1" else 1 - len(down)
    return None
