"""Row to record: a vendor's row in the form's national terms, with key and stamp.

Steps in this order: constants where the field is absent, prefixes restored, vendor codes translated (their own kept under `@raw`),
units converted, limits, what must be there, key, stamp. Each fault is a finding that names the sender's column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.errors import Finding, Severity
from gateway.fhir.ucum import UnitError, Units
from gateway.mapping.fields import Dataset, Field, Group
from gateway.mapping.functions import Env
from gateway.mapping.keys import key_form
from gateway.mapping.nul import may_hold, without
from gateway.mapping.profile import Group as ProfileGroup
from gateway.mapping.profile import Profile
from gateway.mapping.runtime import beyond
from gateway.mapping.stamps import sortable
from gateway.record import CLEAR, RAW, Fields, Record, Row

HELD = "@held"
"""Key of a group row that limits hold back: the name of the field beyond possible limits."""

Step = Callable[[Fields, list[Finding]], None]


class Recorder:
    """Makes records of one source profile; `record` is called once a row, its steps are chosen once a profile."""

    def __init__(self, profile: Profile, dataset: Dataset, units: Units, authority: str, organisation: str, zone: str) -> None:
        self.profile, self.dataset, self.units = profile, dataset, units
        self.authority, self.organisation, self.zone = authority, organisation, zone
        self.locators = profile.locators()
        self._forms = {n: self._form(n, Env(zone, authority, "", organisation, units)) for names in profile.keys for n in names}
        carried = {g for name in profile.groups for g in (name,)}
        self._top = self._steps(dataset.top, profile.constants, carried)

    def record(self, row: Row) -> Record:
        """The record of a row; the row's fields are translated in place."""
        findings = list(row.findings)
        if may_hold(row.unit):
            findings += without(row.fields, self.locators)
        for step in self._top:
            step(row.fields, findings)
        key = self._key(row.fields, findings)
        stamp = self._stamp(row.fields, findings)
        digest = hashlib.sha256(row.unit).hexdigest()
        return Record(self.authority, row.dataset, key, stamp, row.fields, digest, row.position, tuple(findings))

    def _form(self, name: str, env: Env) -> Callable[[str], str]:
        """How the key part of this name is written: the record key takes `2026/3/2` and `2026-03-02` for one day."""
        head, _, rest = name.partition(".")
        inner = self.dataset.top.groups.get(head)
        field = inner.fields.get(rest) if inner is not None else self.dataset.top.fields.get(name)
        return key_form(field, env)

    def _steps(self, group: Group, constants: Mapping[str, str], groups: set[str] | None = None) -> list[Step]:
        steps: list[Step] = []
        profile_group = self._profile_group(group.path)
        values = {**constants, **(profile_group.constants if profile_group else {})}
        if values:
            steps.append(self._constants(values, group))
        shapes = {f.name: (f.repeats, f.composite) for f in group.fields.values() if f.repeats or f.composite}
        if shapes:
            steps.append(_shape(shapes))
        for field in group.fields.values():
            steps += self._field_steps(field)
        for name, inner in group.groups.items():
            inner_steps = self._steps(inner, {})
            steps.append(_group_step(name, inner_steps))
            if inner.declared is not None and inner.declared.required in ("yes", "key"):
                steps.append(self._required(inner.declared))
        return steps

    def _profile_group(self, path: tuple[str, ...]) -> ProfileGroup | None:
        groups, found = self.profile.groups, None
        for step in path:
            found = groups.get(step)
            if found is None:
                return None
            groups = found.groups
        return found

    def _field_steps(self, field: Field) -> list[Step]:
        name, steps = field.name, list[Step]()
        if name in self.profile.prefix or field.path in self.profile.prefix:
            steps.append(self._prefix(field, self.profile.prefix.get(field.path) or self.profile.prefix[name]))
        codes = self.profile.codes.get(field.path) or self.profile.codes.get(name)
        if codes is not None:
            steps.append(self._codes(field, codes))
        elif field.codes is not None:
            steps.append(self._national(field))
        unit = self.profile.units.get(field.path) or self.profile.units.get(name)
        if unit is not None and unit != field.unit:
            steps.append(self._unit(field, unit))
        if field.limits:
            steps.append(self._limits(field))
        if field.required == "yes":
            steps.append(self._required(field))
        elif field.required == "key" and field.group:
            steps.append(self._row_key(field))
        return steps

    def _finding(self, field: Field, code: str, severity: Severity, message: str) -> Finding:
        return Finding(code, severity, message, "", self.locators.get(field.path, field.label), str(field.place))

    def _constants(self, constants: Mapping[str, str], group: Group) -> Step:
        plain = {n: self.organisation if v == "@organisation" else v for n, v in constants.items() if "." not in n}
        parts = [(*n.split(".", 1), self.organisation if v == "@organisation" else v) for n, v in constants.items() if "." in n]
        repeats = {n for n in plain if n in group.fields and group.fields[n].repeats}

        def step(fields: Fields, findings: list[Finding]) -> None:
            for name, value in plain.items():
                if name not in fields:
                    fields[name] = [value] if name in repeats else value
            for name, component, value in parts:
                for one in _listed(fields.get(name)):
                    if isinstance(one, dict):
                        one.setdefault(component, value)

        return step

    def _prefix(self, field: Field, prefixes: Mapping[str, str]) -> Step:
        by, name = prefixes.get("by"), field.name

        def step(fields: Fields, findings: list[Finding]) -> None:
            value = fields.get(name)
            if not isinstance(value, str) or not (value.isdigit() and len(value) == 8):
                return
            organisation = fields.get(by) if by else self.organisation
            prefix = prefixes.get(organisation or "")
            if prefix is not None:
                fields.setdefault(RAW, {})[name] = value
                fields[name] = prefix + value
                return
            message = f"{field.label} 只有后 8 位, 而来源配置 [prefix] 里没有机构 {organisation or '(空)'} 的前 9 位; 请在来源配置里加一行"
            findings.append(self._finding(field, "no-prefix", "note", message))

        return step

    def _codes(self, field: Field, codes: Mapping[str, str]) -> Step:
        name, severity = field.name, _at_least_note(field)

        def unknown(code: str, findings: list[Finding]) -> None:
            known = "、".join(list(codes)[:12])
            message = f"{field.label} 的代码 {code} 不在来源配置 [codes.{name}] 里(已有 {known}); 请核对来源, 或在来源配置里加一行"
            findings.append(self._finding(field, "unknown-code", severity, message))

        def step(fields: Fields, findings: list[Finding]) -> None:
            value = fields.get(name)
            if value is None:
                return
            raws = fields.setdefault(RAW, {})
            if isinstance(value, list):
                kept, raw = [], {}
                for one in value:
                    code = codes.get(one)
                    if code is None:
                        unknown(one, findings)
                        raws.setdefault(f"{name}?", []).append(one)
                    else:
                        raw[code] = one
                        kept.append(code)
                raws[name] = raw
                fields[name] = kept
                if not kept:
                    del fields[name]
                return
            raws[name] = value
            code = codes.get(value)
            if code is None:
                unknown(value, findings)
                del fields[name]
            else:
                fields[name] = code

        return step

    def _national(self, field: Field) -> Step:
        known, severity = {c.code for c in field.codes or ()}, _at_least_note(field)

        def step(fields: Fields, findings: list[Finding]) -> None:
            for one in _listed(fields.get(field.name)):
                code = one if isinstance(one, str) else one.get("1") if isinstance(one, dict) else None
                if code is not None and code not in known:
                    message = f"{field.label} 的代码 {code} 不在值域 {field.codes_name} 里; 请更正来源, 或在来源配置 [codes.{field.name}] 里写明对应"
                    findings.append(self._finding(field, "unknown-code", severity, message))

        return step

    def _unit(self, field: Field, unit: str) -> Step:
        def step(fields: Fields, findings: list[Finding]) -> None:
            value = fields.get(field.name)
            number = _decimal(value)
            if number is None:
                return
            try:
                converted = self.units.convert(number, unit, field.unit)
            except UnitError as e:
                findings.append(self._finding(field, "unit", "drop", f"{field.label}: {e}; 请改来源配置 [units]"))
                del fields[field.name]
                return
            fields.setdefault(RAW, {})[field.name] = value
            fields[field.name] = str(converted)

        return step

    def _limits(self, field: Field) -> Step:
        limits = field.limits

        def step(fields: Fields, findings: list[Finding]) -> None:
            number = _decimal(fields.get(field.name))
            if number is None:
                return
            shown = f"{field.label} {number}{field.unit and ' ' + field.unit}"
            if beyond(number, limits.possible_low, limits.possible_high):
                span = f"{_shown(limits.possible_low, '无下限')} 到 {_shown(limits.possible_high, '无上限')}"
                message = f"{shown} 超出可能范围({span}), 暂扣等人核对; 请核对数值和单位后更正重发"
                findings.append(self._finding(field, "impossible-value", "drop" if field.group else "hold", message))
                if field.group:
                    fields[HELD] = field.name
            elif beyond(number, limits.alarm_low, limits.alarm_high):
                span = f"{_shown(limits.alarm_low, '无下限')} 到 {_shown(limits.alarm_high, '无上限')}"
                findings.append(self._finding(field, "alarm-value", "note", f"{shown} 超出警戒范围({span}); 请尽快处置"))

        return step

    def _row_key(self, field: Field) -> Step:
        finding = self._finding(
            field, "missing-key", "hold", f"{field.group[-1]} 里有一行没有 {field.label}, 认不出是哪一行, 没有写入; 请在来源补上后重发"
        )

        def step(fields: Fields, findings: list[Finding]) -> None:
            if not fields.get(field.name) and finding not in findings:
                findings.append(finding)

        return step

    def _required(self, field: Field) -> Step:
        severity: Severity = "hold" if field.severity == "hold" else "note"

        def step(fields: Fields, findings: list[Finding]) -> None:
            if not fields.get(field.name) and field.name not in fields.get(RAW, ()) and field.name not in fields.get(CLEAR, ()):
                message = f"没有 {field.label}, 而表单规定必填; 请在来源补上"
                findings.append(self._finding(field, "required-field", severity, message))

        return step

    def _key(self, fields: Fields, findings: list[Finding]) -> tuple[str, ...]:
        """The record's key; one finding names every key field that is empty, of the form and of the profile."""
        found: tuple[str, ...] | None = None
        for number, names in enumerate(self.profile.keys):
            parts = [self._values(fields, n) for n in names]
            if any(parts) and all(p or self._optional(n) for p, n in zip(parts, names, strict=True)):
                key = tuple(self._forms[n](p[0]) if p else "" for p, n in zip(parts, names, strict=True))
                found = key if number == 0 else (f"@{names[-1]}", *key)
                break
        empty = [f.path for f in self.dataset.top.fields.values() if f.required == "key" and not self._values(fields, f.name)]
        if found is None:
            names = self.profile.keys[0] if self.profile.keys else []
            empty += [n.replace(".", "/") for n in names if not self._values(fields, n) and not self._optional(n)]
        if found is not None and not empty:
            return found
        labels = "、".join(dict.fromkeys(self.locators.get(n, self._label(n)) for n in empty))
        message = f"业务号不全, 缺 {labels or '业务号'}, 认不出是哪一条记录, 没有写入; 请在来源补上后重发"
        findings.append(Finding("missing-key", "hold", message, "", labels))
        return found or ()

    def _label(self, path: str) -> str:
        field = self.dataset.top.fields.get(path)
        return field.label if field is not None else path

    def _optional(self, name: str) -> bool:
        field = self.dataset.top.fields.get(name.split(".")[0])
        return field is not None and field.required == "optional-key"

    def _stamp(self, fields: Fields, findings: list[Finding]) -> str:
        for name in self.profile.stamps:
            texts = self._values(fields, name)
            if not texts:
                continue
            stamps = [s for t in texts if (s := sortable(t, self.zone)) is not None]
            if stamps:
                return max(stamps)
            label = self.locators.get(name.replace(".", "/"), name)
            findings.append(Finding("bad-stamp", "note", f"{label} 不是日期时间, 无法判断先后, 按到达顺序处理; 请更正来源的时间", "", label))
        return ""

    def _values(self, fields: Fields, name: str) -> list[str]:
        """Texts at `字段`, `PV1-19.1` or `组.字段` (all rows)."""
        head, _, rest = name.partition(".")
        if head in self.dataset.top.groups and rest:
            rows = fields.get(head) or ()
            return [v for row in rows for v in _texts(row.get(rest.partition(".")[0]), rest.partition(".")[2])]
        return _texts(fields.get(head), rest)


def _group_step(name: str, steps: Sequence[Step]) -> Step:
    def step(fields: Fields, findings: list[Finding]) -> None:
        rows = fields.get(name)
        if not rows:
            return
        if not isinstance(rows, list):
            rows = fields[name] = [rows]
        for row in rows:
            for inner in steps:
                inner(row, findings)

    return step


def _shape(shapes: Mapping[str, tuple[bool, bool]]) -> Step:
    """Lists where a field repeats, dicts where it is composite, whatever the adapter gave. shapes: field -> (repeats, composite)."""

    def step(fields: Fields, findings: list[Finding]) -> None:
        for name, value in fields.items():  # only values of present keys are changed
            shape = shapes.get(name)
            if shape is None:
                continue
            repeats, composite = shape
            if repeats and type(value) is not list:
                value = fields[name] = [value]
            if composite:
                if type(value) is str:
                    fields[name] = {"": value, "1": value}
                elif type(value) is list and str in map(type, value):
                    fields[name] = [{"": v, "1": v} if type(v) is str else v for v in value]

    return step


def _at_least_note(field: Field) -> Severity:
    return "hold" if field.severity == "hold" else "note"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: Any, component: str) -> list[str]:
    """Texts of a value, of a component of it when one is named."""
    found = []
    for one in _listed(value):
        text = (one.get(component) if component else one.get("") or one.get("1")) if isinstance(one, dict) else one
        if text:
            found.append(text)
    return found


def _decimal(value: Any) -> Decimal | None:
    if not isinstance(value, str):
        return None
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _shown(limit: Decimal | None, none: str) -> str:
    return none if limit is None else str(limit)
