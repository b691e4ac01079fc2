"""Search criteria as conditions on index rows, and as drivers: where the rows that can match are found.

https://hl7.org/fhir/R4/search.html. A condition always decides from the row alone; a driver only narrows which rows are looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from gateway.errors import Finding, Refused
from gateway.fhir.query import Criterion, prefixed, split, unescape
from gateway.fhir.references import parse_reference
from gateway.fhir.time import interval
from gateway.store.index.keys import DAY, Field, Indexer, Plan
from gateway.store.index.slots import Slot
from gateway.store.index.spans import HIGHEST, LOWEST, implied, sortable, unpack
from gateway.store.index.values import LONGEST, normalised

__all__ = ["Condition", "Driver", "PostingRange", "Row", "StringRange", "compile_criterion"]

Test = Callable[["Row"], bool]
_NEEDLE = struct.Struct("<q")


class Row(NamedTuple):
    """A row of `index_row`, as far as conditions look at it."""

    rid: int
    t: int
    time: int
    keys: bytes
    spans: bytes
    amounts: bytes
    texts: bytes | None


class PostingRange(NamedTuple):
    """Postings of one key with t from `low` to `high`."""

    key: int
    low: int = LOWEST
    high: int = HIGHEST


class StringRange(NamedTuple):
    """Normalised strings of one slot that begin with `prefix`."""

    slot: int
    prefix: str


Driver = Sequence[PostingRange] | Sequence[StringRange]


@dataclass(frozen=True, slots=True)
class Condition:
    """One criterion. driver: ranges that hold every match (None: nothing narrower than the type). bounds: what the criterion says of t
    for resources whose main date is short, and for the others. written: what it says of the time of writing."""

    test: Test
    driver: Driver | None = None
    bounds: tuple[tuple[int, int], tuple[int, int]] | None = None
    written: tuple[int, int] | None = None


@dataclass(slots=True)
class _Alternatives:
    """What the values of one criterion amount to: any of the tests; a driver only if every value has one."""

    tests: list[Test] = field(default_factory=list)
    driver: list[Any] | None = field(default_factory=list)

    def add(self, test: Test, driver: Sequence[Any] | None) -> None:
        self.tests.append(test)
        if driver is None or self.driver is None:
            self.driver = None
        else:
            self.driver.extend(driver)

    def condition(self, negated: bool = False) -> Condition:
        tests = tuple(self.tests)
        if negated:
            return Condition(lambda row: not any(test(row) for test in tests))
        if len(tests) == 1:
            return Condition(tests[0], self.driver)
        return Condition(lambda row: any(test(row) for test in tests), self.driver)


def compile_criterion(indexer: Indexer, plan: Plan, criterion: Criterion) -> Condition:
    """The condition of a criterion on a parameter of the plan (KeyError otherwise) or `_lastUpdated`.

    Raises Refused with the finding that the caller is told: a value that cannot be read, a modifier that is not served.
    """
    if criterion.chain:
        raise _refused(criterion, "unsupported-chain", "链式检索尚不支持; 请分两次检索")
    if criterion.code == "_lastUpdated":
        return _last_updated(indexer, plan, criterion)
    found = plan.fields[criterion.code]
    if criterion.modifier == "missing":
        return _missing(indexer, found, criterion)
    return _BY_TYPE[found.parameter.type](indexer, plan, found, criterion)


def _has(key: int) -> Test:
    """Whether the row has a key: the eight bytes stand there at a multiple of eight."""
    needle = _NEEDLE.pack(key)

    def test(row: Row) -> bool:
        keys = row.keys
        at = keys.find(needle)
        while at != -1:
            if not at & 7:
                return True
            at = keys.find(needle, at + 1)
        return False

    return test


def _posted(slot: Slot, key: int) -> list[PostingRange] | None:
    """The postings of a key: even for short, odd for long resources."""
    return [PostingRange(key), PostingRange(key | 1)] if slot.posted else None


def _missing(indexer: Indexer, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#missing"""
    if criterion.values not in (("true",), ("false",)):
        raise _refused(criterion, "bad-value", ":missing 的值应为 true 或 false")
    either = _Alternatives()
    for slot, target in found.slots:
        either.add(_has(indexer.key(slot.name, "present", target) if target else slot.present), None)
    return either.condition(negated=criterion.values == ("true",))


def _token(indexer: Indexer, plan: Plan, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#token"""
    _allow(criterion, "", "not")
    either = _Alternatives()
    for value in criterion.values:
        parts = [unescape(p) for p in split(value, "|")]
        if len(parts) > 2:
            raise _refused(criterion, "bad-value", "代码应写成 代码、系统|代码、|代码 或 系统|; 值里的 | 要写成 \\|")
        system, code = (None, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
        for slot, _ in found.slots:
            if not code:
                either.add(_has(indexer.key(slot.name, "system", system or "")), None)
                continue
            own = indexer.key(slot.name, "code", code)
            test = _has(own if system is None else indexer.key(slot.name, "both", system, code))
            if slot.table:
                number = indexer.key(plan.type, "identifier", code)
                either.add(test, [PostingRange(number), PostingRange(number | 1)])
            else:
                either.add(test, _posted(slot, own))
    if either.driver and len({type(r) for r in either.driver}) > 1:
        either.driver = None
    return either.condition(negated=criterion.modifier == "not")


def _reference(indexer: Indexer, plan: Plan, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#reference"""
    typed = criterion.modifier if indexer.r4.is_resource(criterion.modifier) else ""
    if not typed:
        _allow(criterion, "", "identifier")
    either = _Alternatives()
    for value in criterion.values:
        for slot, target in found.slots:
            if criterion.modifier == "identifier":
                system, bar, number = _system_value(criterion, value)
                own = indexer.key(slot.name, "identifier", number)
                either.add(_has(indexer.key(slot.name, "identifier", system, number) if bar else own), _posted(slot, own))
                continue
            for form in _reference_forms(indexer, found, unescape(value), typed or target):
                key = indexer.key(slot.name, "to", form)
                either.add(_has(key), _posted(slot, key))
    return either.condition()


def _system_value(criterion: Criterion, value: str) -> tuple[str, bool, str]:
    """(system, whether one was given, value) of `system|value` or `value`."""
    parts = [unescape(p) for p in split(value, "|")]
    if len(parts) > 2:
        raise _refused(criterion, "bad-value", "编号应写成 编号 或 系统|编号; 值里的 | 要写成 \\|")
    return ("", False, parts[0]) if len(parts) == 1 else (parts[0], True, parts[1])


def _reference_forms(indexer: Indexer, found: Field, value: str, type_: str) -> list[str]:
    """What the index may hold for this value: `Type/id` for each type it can be, or the URL."""
    target = parse_reference(value, indexer.keys.base)
    if target.type and not target.base:
        return [target.local] if type_ in ("", target.type) else []
    if target.base or "/" in value or ":" in value:
        return [value.partition("/_history/")[0]]
    types = [type_] if type_ else list(found.parameter.targets)
    if not types or "Resource" in types:
        types = indexer.r4.resource_types()
    return [f"{t}/{value}" for t in types]


def _compare(prefix: str, low: int, high: int) -> Callable[[int, int], bool]:
    """Test of a resource's interval against that of the search (https://hl7.org/fhir/R4/search.html#prefix)."""
    tests: dict[str, Callable[[int, int], bool]] = {
        "eq": lambda first, last: low <= first and last <= high,
        "ne": lambda first, last: first < low or last > high,
        "gt": lambda first, last: last > high,
        "lt": lambda first, last: first < low,
        "ge": lambda first, last: last > high or (low <= first and last <= high),
        "le": lambda first, last: first < low or (low <= first and last <= high),
        "sa": lambda first, last: first > high,
        "eb": lambda first, last: last < low,
        "ap": lambda first, last: first <= high and last >= low,
    }
    return tests[prefix]


def _bounds(prefix: str, low: int, high: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the t of a match can lie: for resources whose main date is at most a day long, and for the others, whose t may also be
    that of an earlier interval than the one that matches."""
    short: dict[str, tuple[int, int]] = {
        "eq": (low, high),
        "gt": (high - DAY, HIGHEST),
        "ge": (low - DAY, HIGHEST),
        "lt": (LOWEST, low - 1),
        "le": (LOWEST, high),
        "sa": (high + 1, HIGHEST),
        "eb": (LOWEST, low - 1),
        "ap": (low - DAY, high),
    }
    bounds = short.get(prefix, (LOWEST, HIGHEST))
    return bounds, (LOWEST, bounds[1])


def _date(indexer: Indexer, plan: Plan, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#date"""
    _allow(criterion, "")
    slots = {slot.dates for slot, _ in found.slots}
    pairs = [_date_value(indexer, criterion, value) for value in criterion.values]
    compares = [_compare(prefix, *span) for prefix, span in pairs]

    def test(row: Row) -> bool:
        return any(key in slots and compare(first, last) for key, first, last in unpack(row.spans) for compare in compares)

    if {slot for slot, _ in found.slots} != plan.main:
        return Condition(test)
    each = [_bounds(prefix, *span) for prefix, span in pairs]
    short, long = ((min(b[n][0] for b in each), max(b[n][1] for b in each)) for n in (0, 1))
    driver = [PostingRange(plan.type_key, *short), PostingRange(plan.type_key | 1, *long)]
    return Condition(test, driver if short != (LOWEST, HIGHEST) else None, (short, long))


def _date_value(indexer: Indexer, criterion: Criterion, value: str) -> tuple[str, tuple[int, int]]:
    prefix, text = prefixed(value)
    span = interval(text.replace(" ", "+"), indexer.keys.zone)
    if span is None:
        raise _refused(criterion, "bad-date", f"`{text[:40]}` 不是日期; 应为 年、年-月、年-月-日 或 年-月-日T时:分:秒+08:00, 前面可加 ge le 等前缀")
    return prefix, span


def _last_updated(indexer: Indexer, plan: Plan, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#lastUpdated"""
    _allow(criterion, "")
    pairs = [_date_value(indexer, criterion, value) for value in criterion.values]
    compares = [_compare(prefix, *span) for prefix, span in pairs]
    each = [_moments(prefix, *span) for prefix, span in pairs]
    written = min(b[0] for b in each), max(b[1] for b in each)
    return Condition(
        lambda row: any(compare(row.time, row.time) for compare in compares), [PostingRange(plan.updated_key, *written)], written=written
    )


def _moments(prefix: str, low: int, high: int) -> tuple[int, int]:
    """Which single moments can match."""
    first = {"eq": low, "ap": low, "ge": low, "gt": high + 1, "sa": high + 1}
    last = {"eq": high, "ap": high, "le": high, "lt": low - 1, "eb": low - 1}
    return first.get(prefix, LOWEST), last.get(prefix, HIGHEST)


def _quantity(indexer: Indexer, plan: Plan, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#quantity"""
    _allow(criterion, "")
    wanted: list[tuple[frozenset[int], Callable[[int, int], bool]]] = []
    for value in criterion.values:
        number, *unit = [unescape(p) for p in split(value, "|")]
        form = [u for u in unit if u]
        if len(unit) == 2 and unit[0] and not unit[1]:
            raise _refused(criterion, "bad-value", "数量应写成 数值、数值|系统|代码 或 数值||单位")
        keys = frozenset(indexer.key(slot.name, "amount", *form) for slot, _ in found.slots)
        wanted.append((keys, _number_test(criterion, number)))

    def test(row: Row) -> bool:
        return any(key in keys and compare(low, high) for key, low, high in unpack(row.amounts) for keys, compare in wanted)

    return Condition(test)


def _number_test(criterion: Criterion, text: str) -> Callable[[int, int], bool]:
    """Only `eq`, `ne` and `ap` take the range that the digits imply; the others compare with the number itself."""
    prefix, digits = prefixed(text)
    try:
        number = Decimal(digits)
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise _refused(criterion, "bad-number", f"`{digits[:40]}` 不是数值; 应如 5.4 或 ge5.4") from None
    if prefix == "ap":
        near = abs(number) / 10
        return _compare(prefix, sortable(number - near), sortable(number + near))
    if prefix in ("eq", "ne"):
        low, high = implied(number)
        return _compare(prefix, sortable(low), sortable(high) - 1)
    exact = sortable(number)
    if prefix == "ge":
        return lambda _low, high: high >= exact
    if prefix == "le":
        return lambda low, _high: low <= exact
    return _compare(prefix, exact, exact)


def _string(indexer: Indexer, plan: Plan, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#string"""
    _allow(criterion, "", "exact", "contains")
    either = _Alternatives()
    for value in criterion.values:
        raw = unescape(value)
        wanted = normalised(raw)
        compare = _string_compare(criterion.modifier, raw)
        for slot, _ in found.slots:
            own = indexer.key(slot.name, "text")
            driven = slot.table and wanted and criterion.modifier != "contains"
            either.add(_text_test(own, compare), [StringRange(own, wanted[:LONGEST])] if driven else None)
    return either.condition()


def _uri(indexer: Indexer, plan: Plan, found: Field, criterion: Criterion) -> Condition:
    """https://hl7.org/fhir/R4/search.html#uri"""
    _allow(criterion, "", *(("below", "above") if all(slot.table for slot, _ in found.slots) else ()))
    either = _Alternatives()
    for value in map(unescape, criterion.values):
        for slot, _ in found.slots:
            own = indexer.key(slot.name, "text")
            if criterion.modifier == "below":
                either.add(_text_test(own, _begins_with(value)), [StringRange(own, value[:LONGEST])])
            elif criterion.modifier == "above":
                either.add(_text_test(own, value.startswith), None)
            else:
                key = indexer.key(slot.name, "uri", value)
                either.add(_has(key), _posted(slot, key))
    return either.condition()


def _string_compare(modifier: str, value: str) -> Callable[[str], bool]:
    wanted = normalised(value)
    if modifier == "exact":
        return lambda text: text == value
    if modifier == "contains":
        return lambda text: wanted in normalised(text)
    return lambda text: normalised(text).startswith(wanted)


def _begins_with(value: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(value)


def _text_test(slot: int, compare: Callable[[str], bool]) -> Test:
    def test(row: Row) -> bool:
        return row.texts is not None and any(key == slot and compare(text) for key, text in msgspec.json.decode(row.texts))

    return test


def _allow(criterion: Criterion, *modifiers: str) -> None:
    if criterion.modifier not in modifiers:
        served = "、".join(f":{m}" for m in modifiers if m) or "无"
        raise _refused(criterion, "unsupported-modifier", f"修饰符 :{criterion.modifier} 在此不支持; 可用: {served}")


def _refused(criterion: Criterion, code: str, message: str) -> Refused:
    return Refused(Finding(code, "refuse", f"检索参数 {criterion.name}: {message}", source=criterion.name))


_BY_TYPE: dict[str, Callable[[Indexer, Plan, Field, Criterion], Condition]] = {
    "token": _token,
    "reference": _reference,
    "date": _date,
    "quantity": _quantity,
    "number": _quantity,
    "string": _string,
    "uri": _uri,
}
