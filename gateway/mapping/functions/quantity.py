"""Quantities: number and unit -> Quantity with UCUM code (https://hl7.org/fhir/R4/datatypes.html#Quantity)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from gateway.fhir.ucum import SYSTEM, UnitError, Units
from gateway.mapping.functions import Env, Example, Fault, function
from gateway.mapping.functions.numerals import not_a_number, plain_number

_COMPARATORS = {
    "<": "<",
    "＜": "<",
    "小于": "<",
    "低于": "<",
    "<=": "<=",
    "≤": "<=",
    "≦": "<=",
    "＜=": "<=",
    ">": ">",
    "＞": ">",
    "大于": ">",
    "高于": ">",
    ">=": ">=",
    "≥": ">=",
    "≧": ">=",
    "＞=": ">=",
}
_COMPARED = re.compile("(" + "|".join(sorted(map(re.escape, _COMPARATORS), key=len, reverse=True)) + r")\s*(.+)")
_SUFFIXED = re.compile(r"([+-]?\d[\d.,]*(?:[eE][+-]?\d+)?)\s*(\S.*)")
MMOL = {"unit": "mmol/L", "system": SYSTEM, "code": "mmol/L"}


def split_number(text: str) -> tuple[str, Decimal, str] | None:
    """(comparator or "", number, unit written behind it or "") of `>28.4`, `5.60`, `130 mmHg`; None when there is no number."""
    number = plain_number(text)
    if number is not None:
        return "", number, ""
    comparator = ""
    text = text.strip()
    if match := _COMPARED.fullmatch(text):
        comparator, text = _COMPARATORS[match[1]], match[2]
        number = plain_number(text)
        if number is not None:
            return comparator, number, ""
    if (match := _SUFFIXED.fullmatch(text)) and (number := plain_number(match[1])) is not None:
        return comparator, number, match[2].strip()
    return None


def coded(number: Decimal, unit: str, table: Units, comparator: str = "") -> dict[str, Any] | None:
    """A Quantity of a known unit (local units such as 斤 converted); None when the unit is unknown."""
    names = table.names(unit)
    if names is None:
        found = table.lookup(unit)
        if found is None:
            return None
        number, names = table.convert(number, unit, found[0]), (table.shown(found[0]), found[0])
    if comparator:
        return {"value": number, "comparator": comparator, "unit": names[0], "system": SYSTEM, "code": names[1]}
    return {"value": number, "unit": names[0], "system": SYSTEM, "code": names[1]}


@function(
    "quantity",
    args=("unit",),
    gives="Quantity",
    env=True,
    memo=True,
    doc="数值加单位(表单规定的单位); 值后写了别的单位时在同一量纲内换算",
    examples=[
        Example("5.60", ("mmol/L",), {"value": Decimal("5.60"), **MMOL}),
        Example(">33.3", ("mmol/L",), {"value": Decimal("33.3"), "comparator": ">", **MMOL}),
        Example("130 mmHg", ("mm[Hg]",), {"value": Decimal("130"), "unit": "mmHg", "system": SYSTEM, "code": "mm[Hg]"}),
        Example("17.3kPa", ("mm[Hg]",), {"value": Decimal("130"), "unit": "mmHg", "system": SYSTEM, "code": "mm[Hg]"}),
        Example("120斤", ("kg",), {"value": Decimal("60.0"), "unit": "kg", "system": SYSTEM, "code": "kg"}),
        Example("较高", ("mm[Hg]",), Fault("not-a-number", "")),
        Example("5.6 kg", ("mmol/L",), Fault("unit-mismatch", "")),
    ],
)
def quantity(env: Env, value: str, unit: str) -> dict[str, Any] | Fault:
    """Quantity in the unit the form prescribes."""
    parts = split_number(value)
    if parts is None:
        return not_a_number()
    comparator, number, written = parts
    if written:
        try:
            number = env.units.convert(number, written, unit)
        except UnitError as e:
            return Fault("unit-mismatch", f"值后面写的单位与表单规定的 {unit} 不符: {e}; 请核对来源")
    found = coded(number, unit, env.units, comparator)
    if found is None:
        return Fault("unknown-unit", f"不认识单位“{unit}”; 请在 mappings/tables/units.csv 加一行(打印写法, UCUM 代码)")
    return found


@function(
    "quantity_of",
    args=("text",),
    gives="Quantity",
    env=True,
    memo=True,
    doc="数值加来源自带的单位; 不认识的单位按原文保留并提示",
    examples=[
        Example("5.60", ("mmol/L",), {"value": Decimal("5.60"), **MMOL}),
        Example("88", ("μmol/L",), {"value": Decimal("88"), "unit": "μmol/L", "system": SYSTEM, "code": "umol/L"}),
        Example("6.2", ("×10⁹/L",), {"value": Decimal("6.2"), "unit": "×10⁹/L", "system": SYSTEM, "code": "10*9/L"}),
        Example("6.2", (None,), {"value": Decimal("6.2")}),
        Example("6.2", ("某单位",), Fault("unknown-unit", "")),
        Example("不详", ("mmol/L",), Fault("not-a-number", "")),
    ],
)
def quantity_of(env: Env, value: str, unit: str | None) -> dict[str, Any] | Fault:
    """Quantity in the unit that the record itself names."""
    parts = split_number(value)
    if parts is None:
        return not_a_number()
    return measured(*parts, unit, env.units)


def measured(comparator: str, number: Decimal, written: str, unit: str | None, table: Units) -> dict[str, Any] | Fault:
    """Quantity of a number with the unit field, or the unit written behind the number; an unknown unit is a note and kept as text."""
    name = (unit or "").strip() or written
    if not name:
        return {"value": number, "comparator": comparator} if comparator else {"value": number}
    found = coded(number, name, table, comparator)
    if found is not None:
        return found
    plain: dict[str, Any] = {"value": number, **({"comparator": comparator} if comparator else {}), "unit": name}
    return Fault("unknown-unit", f"不认识单位“{name}”, 已按原文保留; 请在 mappings/tables/units.csv 加一行(打印写法, UCUM 代码)", "note", plain)


@function(
    "duration",
    args=("unit",),
    gives="Duration",
    env=True,
    doc="时长(天数、分钟数)",
    examples=[
        Example("7", ("d",), {"value": Decimal("7"), "unit": "天", "system": SYSTEM, "code": "d"}),
        Example("7天", ("d",), {"value": Decimal("7"), "unit": "天", "system": SYSTEM, "code": "d"}),
        Example("一周", ("d",), Fault("not-a-number", "")),
    ],
)
def duration(env: Env, value: str, unit: str) -> dict[str, Any] | Fault:
    """Duration in the unit the form prescribes."""
    return quantity(env, value, unit)
