"""Search criteria as conditions on index rows, and as drivers: where the rows that can match are found.

https://hl7.org/fhir/R4/search.html. A condition always decides from the row and the resource; a driver only narrows which are looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.fhir.query import Criterion
from gateway.store.index.keys import Field
from gateway.store.index.match.asked import Asked, refused
from gateway.store.index.match.composite import composite
from gateway.store.index.match.date import date, last_updated
from gateway.store.index.match.position import near
from gateway.store.index.match.quantity import quantity
from gateway.store.index.match.reference import reference
from gateway.store.index.match.row import Alternatives, Condition
from gateway.store.index.match.text import string, uri
from gateway.store.index.match.token import token

__all__ = ["compile_criterion", "is_known"]

Compile = Callable[[Asked, Field, Criterion], Condition]

_BY_TYPE: dict[str, Compile] = {
    "token": token,
    "reference": reference,
    "date": date,
    "quantity": quantity,
    "number": quantity,
    "string": string,
    "uri": uri,
}


def is_known(asked: Asked, code: str) -> bool:
    """Whether the type has a parameter of this code that can be searched."""
    parameter = asked.indexer.r4.search(asked.plan.type).get(code)
    return code == "_lastUpdated" or code in asked.plan.fields or (parameter is not None and parameter.type in ("composite", "special"))


def compile_criterion(asked: Asked, criterion: Criterion) -> Condition:
    """The condition of a criterion on a parameter that the type is_known (KeyError otherwise).

    Raises Refused with the finding that the caller is told: a value that cannot be read, a modifier that is not served.
    """
    if criterion.code == "_lastUpdated":
        return last_updated(asked, criterion)
    found = asked.plan.fields.get(criterion.code)
    if found is None:
        parameter = asked.indexer.r4.search(asked.plan.type)[criterion.code]
        return near(asked, criterion) if parameter.type == "special" else composite(asked, parameter, criterion, _BY_TYPE)
    if criterion.modifier == "missing":
        return _missing(asked, found, criterion)
    return _BY_TYPE[found.parameter.type](asked, found, criterion)


def _missing(asked: Asked, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#missing"""
    if criterion.values not in (("true",), ("false",)):
        raise refused(criterion, "bad-value", ":missing 的值应为 true 或 false")
    either = Alternatives()
    for slot, target in found.slots:
        either.key(asked.indexer.key(slot.name, "present", target) if target else slot.present, None)
    return either.condition(negated=criterion.values == ("true",))
