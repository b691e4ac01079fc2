"""Types: what comes out of a pipe against the element, lists against scalars, `value[x]` once, codes of required value sets, targets."""

from __future__ import annotations

from typing import Any

from gateway.fhir.elements import R4
from gateway.mapping import plan
from gateway.mapping.check.walk import bodies, sets
from gateway.mapping.model import Fault
from gateway.mapping.values import walk
from gateway.terminology.tables import nearest

_TEXT = frozenset({"string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid", "base64Binary", "xhtml"})
_QUANTITIES = frozenset({"Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity", "MoneyQuantity"})
FITS: dict[str, frozenset[str]] = {
    "text": _TEXT,
    "string": _TEXT,
    "markdown": _TEXT,
    "code": frozenset({"code", "string"}),
    "id": frozenset({"id", "string"}),
    "uri": frozenset({"uri", "url", "canonical", "string"}),
    "url": frozenset({"uri", "url", "string"}),
    "canonical": frozenset({"uri", "url", "canonical"}),
    "date": frozenset({"date", "dateTime"}),
    "dateTime": frozenset({"dateTime"}),
    "instant": frozenset({"instant", "dateTime"}),
    "integer": frozenset({"integer", "positiveInt", "unsignedInt", "decimal"}),
    "positiveInt": frozenset({"integer", "positiveInt", "unsignedInt", "decimal"}),
    "unsignedInt": frozenset({"integer", "unsignedInt", "decimal"}),
    "decimal": frozenset({"decimal"}),
    "Quantity": _QUANTITIES,
    "resident": frozenset({"Reference"}),
}
HINTS = {
    "date": "| date",
    "dateTime": "| dateTime",
    "instant": "| instant",
    "time": "| time",
    "Quantity": '| quantity("单位")',
    "CodeableConcept": '| table("表名")',
    "Coding": '| table("表名")',
    "boolean": "| boolean",
    "integer": "| integer",
    "decimal": "| decimal",
    "positiveInt": "| positive_int",
    "Reference": "ref(...) 或块名",
}


def check(made: plan.MapPlan, r4: R4, faults: list[Fault]) -> None:
    """All type checks of one map."""
    for _, entry in sets(made):
        _type(made, entry, faults)
        _codes(made, entry, r4, faults)
        _target(made, entry, r4, faults)
        if not entry.slot.many and (entry.value.many or _element_list(entry.value)):
            _add(
                made,
                entry,
                faults,
                "list-for-scalar",
                f"{entry.slot.path} 只能有一个值, 这里给的是一串",
                "一个值",
                "用 each 展开到能重复的元素, 或换一个字段",
            )
    for body, _, _ in bodies(made):
        _twice(made, body, faults)


def _add(made: plan.MapPlan, entry: plan.Set | plan.Sub, faults: list[Fault], code: str, message: str, expected: str, step: str) -> None:
    faults.append(Fault(made.lines[entry.line].place, code, message, expected, step))


def _element_list(value: plan.Value) -> bool:
    return isinstance(value, plan.Link) and value.how == "inner"


def fits(given: str, wanted: str) -> bool:
    """Whether a value of one type may be written to an element of another."""
    return given in ("any", "choice") or given == wanted or wanted in FITS.get(given, ())


def _type(made: plan.MapPlan, entry: plan.Set, faults: list[Fault]) -> None:
    given, slot = entry.value.type, entry.slot
    wanted = slot.element.types if slot.open else (slot.type,)
    if isinstance(entry.value, plan.Const) and isinstance(entry.value.value, int) and set(wanted) & FITS["integer"]:
        return
    if any(fits(given, w) for w in wanted):
        return
    hint = next((HINTS[w] for w in wanted if w in HINTS), "")
    shown = {"text": "文字", "row": "一行", "resident": "居民的引用"}.get(given, given)
    _add(
        made,
        entry,
        faults,
        "type",
        f"{slot.path} 要 {'、'.join(wanted)}, 这里得到的是{shown}",
        "、".join(wanted),
        f"在值后面写 {hint}" if hint else "换一个函数或字段",
    )


def _codes(made: plan.MapPlan, entry: plan.Set, r4: R4, faults: list[Fault]) -> None:
    binding = entry.slot.element.binding
    if binding is None or binding.strength != "required" or entry.slot.type not in ("code", "Coding", "CodeableConcept"):
        return
    allowed = r4.codes(binding.valueset)
    if allowed is None:
        return
    plain = sorted({code for _, code in allowed})
    expected = "、".join(plain[:20])
    value = entry.value
    if isinstance(value, plan.Const):
        for code in _constant_codes(value.value):
            if code not in plain:
                _add(made, entry, faults, "code-not-allowed", f"{entry.slot.path} 不能是 {code}{nearest(code, plain)}", expected, "改成值域里的代码")
    elif isinstance(value, plan.Read | plan.Item) and value.type == "text":
        message = f"{entry.slot.path} 只能是规定的代码, 来源的文字不能直接写入"
        _add(made, entry, faults, "code-from-text", message, expected, '在值后面写 | table("表名")')


def _constant_codes(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    codings = value.get("coding", [value]) if isinstance(value, dict) else []
    return [c["code"] for c in codings if "code" in c]


def _target(made: plan.MapPlan, entry: plan.Set, r4: R4, faults: list[Fault]) -> None:
    for value in walk(entry.value):
        type_ = ""
        if isinstance(value, plan.RefTo):
            type_ = value.target
            if not r4.is_resource(type_):
                faults.append(
                    Fault(
                        value.place,
                        "unknown-type",
                        f"ref 的目标 {type_} 不是 FHIR R4 资源{nearest(type_, r4.resource_types())}",
                        "FHIR R4 资源类型",
                        "改正类型",
                    )
                )
                continue
        elif isinstance(value, plan.Link):
            type_ = made.block(value.block).type
        elif isinstance(value, plan.LetRead) and value.type == "resident":
            type_ = "Patient"
        targets = entry.slot.element.targets
        if type_ and targets and type_ not in targets and "Resource" not in targets:
            _add(made, entry, faults, "reference-target", f"{entry.slot.path} 不能引用 {type_}", "、".join(targets), "改用允许的资源, 或写到别的元素")


def _twice(made: plan.MapPlan, body: plan.Body, faults: list[Fault]) -> None:
    seen: dict[str, plan.Set | plan.Sub] = {}
    for entry in body.entries:
        if isinstance(entry, plan.BlockPlan):
            continue
        element = entry.slot.element
        if isinstance(entry, plan.Sub) and entry.rows is not None and not entry.slot.many:
            _add(made, entry, faults, "list-for-scalar", f"{entry.slot.path} 只能有一个值, 不能 each", "能重复的元素", "去掉 each, 或换一个元素")
        if element.many:
            continue
        first = seen.setdefault(element.name, entry)
        if first is not entry and (first.when is None or entry.when is None):
            line = made.lines[first.line].place.line
            code = "choice-twice" if element.choice else "written-twice"
            _add(
                made,
                entry,
                faults,
                code,
                f"{body.path}.{element.name} 写了两次(第 {line} 行已写)",
                "一个元素一个值",
                "删去一行, 或给每一行写上互不重叠的 when",
            )
