"""The value of a column: one or a list, of the type that is declared.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition-definitions.html#ViewDefinition.select.column.type
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.primitives import JSON_TYPES, TEXT
from gateway.validation.fhirpath.items import Item, Items, plain
from gateway.validation.fhirpath.scope import Env, Function
from gateway.views.definition import Column, fault
from gateway.views.functions import subject

__all__ = ["checked", "is_primitive"]


def is_primitive(type_: str) -> bool:
    """Whether values of the type are single JSON values."""
    known = load().types.get(type_)
    return type_.startswith("System.") or type_ == "integer64" or (known is not None and known.kind == "primitive-type")


def checked(column: Column, function: Function) -> Callable[[Items, Env], Any]:
    """The function that gives the column's value: None for nothing. It raises ViewError for several values where one is declared, and for a
    value of another type."""
    fits = _test(column.type)

    def one(item: Item, env: Env) -> Any:
        value = plain(item[0])
        if value is not None and not fits(value):
            said = f"声明的类型是 {column.type}" if column.type else "没有声明类型, 只能是简单类型"
            raise fault(column.place, f"列 {column.name} {said}, {subject(env)} 的值不是", "view-evaluation")
        return value

    def several(focus: Items, env: Env) -> list[Any]:
        return [one(item, env) for item in function(focus, env)]

    def single(focus: Items, env: Env) -> Any:
        found = function(focus, env)
        if len(found) > 1:
            ways = "要全部就写 collection: true, 要一个就在路径后加 .first(), 一值一行就用 forEach"
            raise fault(column.place, f"列 {column.name} 在 {subject(env)} 有 {len(found)} 个值; {ways}", "view-evaluation")
        return one(found[0], env) if found else None

    return several if column.collection else single


def _test(type_: str) -> Callable[[Any], bool]:
    """Whether a value has the JSON type of a FHIR type; without a type every simple one has."""
    if not type_:
        return lambda value: type(value) is not dict
    if not is_primitive(type_):
        return lambda value: type(value) is dict
    name = type_.removeprefix("System.")
    named = name[0].lower() + name[1:]
    if named == "integer64":
        return lambda value: type(value) in (int, str)
    kinds = JSON_TYPES.get(named, TEXT)[0]
    if Decimal in kinds:
        return lambda value: type(value) in (int, Decimal)
    return lambda value: type(value) in kinds
