"""What a compiled map calls beside its own text: faults, keys, choices, comparisons, limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.errors import RANK, Fault, Finding, Severity
from gateway.fhir.ucum import UnitError, convert
from gateway.mapping import plan
from gateway.mapping.functions import Choice
from gateway.mapping.keys import empty_fields
from gateway.record import CLEAR
from gateway.terminology.tables import Item

FINAL = frozenset({"final", "corrected", "amended", "appended"})
LOINC = "http://loinc.org"
BOUND = 10_000
"""Findings that a source's map keeps ready: the same ones come back with every message."""


class Reports:
    """Turns faults into findings that name map line, target and the sender's own column."""

    def __init__(self, made: plan.MapPlan, locators: Mapping[str, str]) -> None:
        self.plan, self.locators = made, locators
        self._made: dict[tuple[int, str, str | None, str], Finding] = {}

    def fault(self, findings: list[Finding], line: int, fault: Fault) -> Any:
        """Records the fault; gives what may be written all the same."""
        key = (line, fault.code, fault.severity, fault.message)
        finding = self._made.get(key)
        if finding is None:
            if len(self._made) > BOUND:
                self._made.clear()
            info = self.plan.lines[line]
            severity = fault.severity or _gravest(info)
            finding = self._made[key] = Finding(fault.code, severity, fault.message, info.target, self.source(info), str(info.place))
        findings.append(finding)
        return fault.value if finding.severity == "note" else None

    def source(self, info: plan.LineInfo) -> str:
        """Locators of the fields a line reads, in the sender's words."""
        return "、".join(dict.fromkeys(self.locators.get(f.path, f.label) for f in info.fields))

    def no_key(self, findings: list[Finding], line: int, parts: Sequence[str | None]) -> None:
        """A key part is empty: hold, said once however many blocks have the same key."""
        info = self.plan.lines[line]
        key = next(b.key for b in self.plan.all_blocks if b.key is not None and b.key.line == line)
        empty = empty_fields(self.plan, key.parts, parts)
        source = "、".join(dict.fromkeys(self.locators.get(f.path, f.label) for f in empty)) or self.source(info)
        if any(f.code == "missing-key" and f.source == source for f in findings):
            return
        message = f"块 {info.block} 的业务号不全, 缺 {source}, 无法确定是哪一份记录; 请在来源补齐后重发"
        findings.append(Finding("missing-key", "hold", message, info.target, source, str(info.place)))

    def missing(self, findings: list[Finding], line: int, body: Mapping[str, Any], required: Sequence[str]) -> None:
        """An element that R4 requires came out empty: the block or element is left out."""
        info = self.plan.lines[line]
        absent = [n for n in required if not any(k == n or (n.endswith("[x]") and k.startswith(n[:-3])) for k in body)]
        behind = [i for i in self.plan.lines if i.block == info.block and any(i.target == f"{info.target}.{n}" for n in absent)]
        severity: Severity = "hold" if any(_gravest(i) == "hold" for i in behind) else "drop"
        source = "、".join(dict.fromkeys(s for i in behind if (s := self.source(i))))
        message = f"{info.block}: 没有 {'、'.join(absent)}, 而 FHIR 规定必须有, 因此没有写出 {info.target}; 请在来源补上 {source or '对应字段'}"
        findings.append(Finding("required-missing", severity, message, info.target, source, str(info.place)))

    def reference_lost(self, findings: list[Finding], line: int) -> None:
        """A block that this line refers to was not written."""
        info = self.plan.lines[line]
        message = f"{info.target} 引用的记录没有写出, 引用也略去; 先处理那一条的问题"
        findings.append(Finding("reference-lost", "note", message, info.target, self.source(info), str(info.place)))

    def complete(self, findings: list[Finding], start: int, line: int) -> None:
        """Findings of a fragment get the target and source of the line that uses it."""
        info = self.plan.lines[line]
        for i in range(start, len(findings)):
            findings[i] = findings[i].at(target=info.target, source=self.source(info))

    def put_choice(self, body: dict[str, Any], keys: Mapping[str, str], value: Any, extras: Sequence[str], findings: list[Finding], line: int) -> str:
        """Writes a value whose type only the record tells; gives the JSON name it went to."""
        type_ = value.type if isinstance(value, Choice) else "string" if isinstance(value, str) else "decimal" if isinstance(value, Decimal) else ""
        key = keys.get(type_)
        if key is None:
            self.fault(findings, line, Fault("type", f"得到 {type_ or type(value).__name__}, 而这里只能是 {'、'.join(keys)}; 请改映射这一行"))
            return ""
        body[key] = value.value if isinstance(value, Choice) else value
        if isinstance(value, Choice):
            for name, extra in value.extra.items():
                if name in extras:
                    body.setdefault(name, extra)
        return key


class Limits:
    """Possible and alarm limits of laboratory items (`mappings/tables/items.csv`)."""

    def __init__(self, items: Mapping[str, Item], reports: Reports) -> None:
        self.items, self.reports = items, reports

    def __call__(self, findings: list[Finding], line: int, body: Mapping[str, Any]) -> bool:
        """Whether the Observation is beyond what is possible and must wait for a person; beyond alarm limits it is noted."""
        quantity = body.get("valueQuantity")
        if quantity is None or (value := quantity.get("value")) is None or (item := self._item(body)) is None:
            return False
        if type(value) is not Decimal:
            value = Decimal(value)
        if (code := quantity.get("code")) and item.ucum and code != item.ucum:
            try:
                value = convert(value, code, item.ucum, item.molar_mass)
            except UnitError:
                return False
        if beyond(value, item.possible_low, item.possible_high):
            span = f"{item.possible_low or '无下限'} 到 {item.possible_high or '无上限'}"
            text = f"超出可能范围({span}), 这一项暂扣等人核对; 请核对数值和单位后更正重发"
            findings.append(self._finding("impossible-value", "drop", line, item, value, text))
            return True
        if beyond(value, item.alarm_low, item.alarm_high):
            span = f"{item.alarm_low or '无下限'} 到 {item.alarm_high or '无上限'}"
            findings.append(self._finding("alarm-value", "note", line, item, value, f"超出警戒范围({span}); 请尽快处置"))
        return False

    def _item(self, body: Mapping[str, Any]) -> Item | None:
        """The laboratory item of the Observation's first LOINC code that has limits."""
        for coding in body.get("code", {}).get("coding", ()):
            if coding.get("system") == LOINC and (item := self.items.get(coding["code"])):
                return item
        return None

    def _finding(self, code: str, severity: Severity, line: int, item: Item, value: Decimal, text: str) -> Finding:
        info = self.reports.plan.lines[line]
        message = f"{item.display} {value} {item.ucum} {text}"
        return Finding(code, severity, message, "Observation.valueQuantity", self._source(info.block), str(info.place))

    def _source(self, block: str) -> str:
        lines = [i for i in self.reports.plan.lines if i.block == block and i.target.startswith("Observation.value")]
        return "、".join(dict.fromkeys(self.reports.source(i) for i in lines))


def beyond(value: Decimal, low: Decimal | None, high: Decimal | None) -> bool:
    """Whether a value is outside limits; None = no limit."""
    return (low is not None and value < low) or (high is not None and value > high)


def part(value: Any, component: str) -> Any:
    """A component of a composite (of the first one, where the field repeats); of plain text, component 1 is the text itself."""
    if type(value) is dict:
        return value.get(component)
    if type(value) is list:
        return part(value[0], component) if value else None
    return value if component in ("1", "1.1") else None


def whole(value: Any) -> Any:
    """The whole text of a composite; text stays."""
    return (value.get("") or value.get("1")) if type(value) is dict else value


def as_text(value: Any) -> Any:
    """A value as text, for key parts and text parameters."""
    if value is None or isinstance(value, str):
        return value
    return as_text(value.value) if isinstance(value, Choice) else whole(value) if isinstance(value, dict | list) else str(value)


def raw_of(raws: Any, code: str) -> str | None:
    """The sender's code of one value of a repeating field."""
    return raws.get(code) if isinstance(raws, dict) else None


def compare(value: Any, op: str, others: Iterable[Any]) -> bool:
    """`=  != < <= > >= in not in`; numbers by value, else text; nothing compares with what is absent."""
    if value is None:
        return False
    others = tuple(others)
    if op == "in" or op == "not in":
        return any(_order(value, o) == 0 for o in others) is (op == "in")
    order = _order(value, others[0])
    if order is None:
        return False
    return {"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[op]


def any_is(values: Any, op: str, others: Iterable[Any]) -> bool:
    """The same for a repeating field: whether any of its values does (for `!=` and `not in`: none is)."""
    if not values:
        return False
    others = tuple(others)
    if op in ("!=", "not in"):
        return not any(compare(v, "in", others) for v in values)
    return any(compare(v, op, others) for v in values)


def at(rows: list[Any] | None, index: int) -> Any:
    """A row's reference."""
    return rows[index] if rows and index < len(rows) else None


def below(rows: Mapping[tuple[int, ...], list[Any]], prefix: tuple[int, ...]) -> list[Any]:
    """The references of all rows below a row, several levels deep."""
    return [r for key, inner in rows.items() if key[: len(prefix)] == prefix for r in inner]


def clears(pairs: Sequence[tuple[str, str]], fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Elements that the record empties on purpose."""
    names = fields.get(CLEAR)
    return tuple(dict.fromkeys(element for name, element in pairs if name in names)) if names else ()


def lost_since(findings: Sequence[Finding], start: int) -> bool:
    """Whether anything graver than a note was found since."""
    return any(f.severity != "note" for f in findings[start:])


def expand(value: Any, base: str) -> Any:
    """A constant with `{base}` replaced."""
    if isinstance(value, str):
        return value.replace("{base}", base)
    if isinstance(value, dict):
        return {k: expand(v, base) for k, v in value.items()}
    return [expand(v, base) for v in value] if isinstance(value, list) else value


def _order(value: Any, other: Any) -> int | None:
    """-1, 0, 1, or None when the other is absent or the two do not compare."""
    if other is None:
        return None
    a, b = _number(value), _number(other)
    if a is not None and b is not None:
        return (a > b) - (a < b)
    if isinstance(other, int | Decimal):
        return None
    x, y = str(value), str(other)
    return (x > y) - (x < y)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    try:
        found = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    return found if found.is_finite() else None


def _gravest(info: plan.LineInfo) -> Severity:
    named = [f.severity for f in info.fields if f.severity]
    return max(named, key=RANK.__getitem__) if named else "drop"
