"""The one text form of a key's parts, for record keys and resource keys alike: however a sender writes a date, it is the same record."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.errors import Fault
from gateway.identity.numbers import person_number
from gateway.mapping import plan
from gateway.mapping.fields import Field
from gateway.mapping.functions import Env
from gateway.mapping.functions.dates import date, date_time
from gateway.mapping.values import walk

NATIONAL = frozenset({"居民身份证", "外国人永久居留身份证", "健康档案编号"})
"""Identifiers with a written form of their own (15 or 18 digits, full-width letters)."""


def key_date(text: str) -> str:
    """`2026/3/2` as `2026-03-02`; what is no date stays as written."""
    found = date(text)
    return text.strip() if isinstance(found, Fault) else found


def key_moment(env: Env, text: str) -> str:
    """`20260302083000` as `2026-03-02T08:30:00+08:00`, a date alone as a date; what is neither stays as written."""
    found = date_time(env, text)
    return text.strip() if isinstance(found, Fault) else found


def key_form(field: Field | None, env: Env) -> Callable[[str], str]:
    """How a field's text stands in a record key. Codes have been translated before."""
    if field is None:
        return str.strip
    if field.type == "date":
        return key_date
    if field.type == "datetime":
        return lambda text: key_moment(env, text)
    if field.identifier in NATIONAL:
        name = field.identifier

        def number(text: str) -> str:
            found = person_number(name, text)[0]
            return found.value if found is not None else text.strip()

        return number
    return str.strip


def empty_fields(made: plan.MapPlan, parts: Iterable[plan.Value], values: Iterable[str | None]) -> list[Field]:
    """The fields behind the key parts that came out empty, in order, lets looked through."""
    found: dict[str, Field] = {}
    for part, value in zip(parts, values, strict=True):
        if value is None:
            found |= {f.path: f for f in _read(made, part)}
    return list(found.values())


def _read(made: plan.MapPlan, value: plan.Value) -> list[Field]:
    fields: list[Field] = []
    for one in walk(value):
        if isinstance(one, plan.Read) or (isinstance(one, plan.Item) and one.field is not None):
            assert one.field is not None
            fields.append(one.field)
        elif isinstance(one, plan.LetRead):
            fields += _read(made, made.lets[one.index].value)
    return fields
