"""Judging single values for `gateway.fhir.structure`: primitives, codes of required bindings, references, narratives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from lxml import etree

from gateway.errors import Severity
from gateway.fhir.elements import Element, load
from gateway.fhir.primitives import EXPECTED, JSON_TYPES, TEXT, fits
from gateway.fhir.references import parse_reference
from gateway.fhir.shape import XHTML, Slot
from gateway.fhir.xhtml import BadNarrative, parse_div

__all__ = ["LOCAL", "Fault", "Faults", "below", "coding_fault", "fault", "narrative", "primitive", "primitive_test", "reference", "shown", "unshaped"]

Fault = tuple[str, str, str, Severity]
"""(path below the value, code, message without place, severity); the path begins with a dot or a bracket, or is empty."""
Faults = list[Fault] | None
LOCAL = "unresolved-fragment"
"""Code of a reference into `contained`; the message is the id until the resource that contains it was asked."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:\S+", re.ASCII)
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?\S+", re.ASCII)
# https://hl7.org/fhir/R4/narrative.html#xhtml: chapters 7 to 11 (without 9.4) and 15 of HTML 4.0, links and images
_HTML = frozenset(
    "div p br hr h1 h2 h3 h4 h5 h6 a img span b i u s strike em strong small big tt dfn code samp kbd var cite abbr acronym q sub sup bdo "
    "blockquote pre address ul ol li dl dt dd table caption colgroup col thead tfoot tbody tr th td map area center font".split()
)
_FORBIDDEN = frozenset(
    "head body html script style link base form input button select option optgroup textarea label fieldset legend isindex frame frameset "
    "noframes iframe object applet param embed meta title svg math".split()
)
_NAME = re.compile(r"<([^\s/>!?]+)")
_SUSPECT = (" on", "\non", "\ton", "\ron", "javascript", "&#", "xmlns:", "<![")
"""Where one of them occurs, in any case, the elements and attributes are looked at one by one."""
_CONTENT = etree.XPath("boolean(normalize-space(.)) or boolean(.//h:img)", namespaces={"h": XHTML})


def fault(code: str, message: str, path: str = "") -> list[Fault]:
    """One fault."""
    return [(path, code, message, "refuse")]


_UNSHAPED = frozenset({"wrong-shape", "unknown-type", "unknown-element", "bad-value", "too-deep"})


def unshaped(faults: Iterable[Fault]) -> bool:
    """Whether a fault says that a value has not the shape of its type, so that rules cannot read it."""
    return any(code in _UNSHAPED for _, code, _, _ in faults)


def below(faults: Iterable[Fault], step: str) -> list[Fault]:
    """The same faults as they look from one level up."""
    return [(step + path, code, message, severity) for path, code, message, severity in faults]


def shown(value: Any) -> str:
    """A code or a type for a message, cut short."""
    return f"“{str(value)[:40]}”"


def primitive_test(slot: Slot) -> tuple[frozenset[type], Callable[[Any], Any]]:
    """The types that JSON may give a primitive, and the test of a value that has one of them."""
    allowed = _codes(slot.element) if slot.type == "code" else None
    return JSON_TYPES.get(slot.type, TEXT)[0], fits(slot.type) if allowed is None else allowed.__contains__


def primitive(slot: Slot) -> Callable[[Any], Faults]:
    """Check of one value of a primitive: JSON type, format, and the codes of a required binding."""
    type_ = slot.type
    called = JSON_TYPES.get(type_, TEXT)[1]
    allowed = _codes(slot.element) if type_ == "code" else None
    kinds, test = primitive_test(slot)

    def check_value(value: Any) -> Faults:
        if type(value) in kinds:
            if test(value):
                return None
            if allowed is not None:
                return fault("code-not-allowed", f"{shown(value)} 不在规定的值域里; 应是 {_some(allowed)}")
            return fault("bad-value", f"不是有效的 {type_}; 应是{EXPECTED[type_]}")
        return fault("wrong-shape", f"应是{called}" if value is not None else "不能是 null; 没有值时不写这个元素")

    return check_value


def _codes(element: Element) -> frozenset[str] | None:
    """Codes that a required binding allows; None when there is none or it cannot be enumerated."""
    pairs = load().codes(element.binding.valueset) if element.binding is not None and element.binding.strength == "required" else None
    return None if pairs is None else frozenset(code for _, code in pairs)


def _some(codes: frozenset[str]) -> str:
    names = sorted(codes)
    return "、".join(names[:12]) + (" 等" if len(names) > 12 else "")


def coding_fault(element: Element) -> Callable[[dict[str, Any]], Faults] | None:
    """Check of a CodeableConcept with a required binding: one coding at least is of the value set. None when nothing is to check."""
    if element.types != ("CodeableConcept",) or element.binding is None or element.binding.strength != "required":
        return None
    pairs = load().codes(element.binding.valueset)
    if pairs is None:
        return None
    allowed = _some(frozenset(code for _, code in pairs))

    def check_concept(value: dict[str, Any]) -> Faults:
        codings = value.get("coding")
        if type(codings) is list and any((c.get("system"), c.get("code")) in pairs for c in codings):
            return None
        return fault("code-not-allowed", f"没有规定值域里的代码; 至少一个 coding 应是 {allowed}", ".coding")

    return check_concept


def reference(element: Element) -> Callable[[dict[str, Any]], Faults]:
    """Check of a Reference: what its literal looks like and which type it names (https://hl7.org/fhir/R4/references.html#Reference)."""
    targets = frozenset(element.targets) if element.targets and "Resource" not in element.targets else None
    is_resource = load().is_resource

    def check_type(name: str, path: str) -> Faults:
        if targets is not None and name not in targets:
            return [(path, "bad-reference", f"这里不该引用 {name}; 应是 {'、'.join(sorted(targets))}; 已照原样保留", "note")]
        return None

    def check_reference(value: dict[str, Any]) -> Faults:
        literal, stated = value.get("reference"), value.get("type")
        named = stated if type(stated) is str and is_resource(stated) else ""
        if type(literal) is not str or not literal:
            return check_type(named, ".type") if named else None
        if literal[0] == "#":
            return fault(LOCAL, literal[1:], ".reference") if len(literal) > 1 else None
        target = parse_reference(literal)
        type_ = target.type
        if not type_ or (target.base and not is_resource(type_)):
            conditional = _CONDITIONAL.fullmatch(literal)
            if conditional is None:
                return None if _SCHEME.fullmatch(literal) else fault("bad-reference", _SHAPE, ".reference")
            type_ = conditional.group(1)
        if not is_resource(type_):
            return fault("bad-reference", f"{shown(type_)} 不是 FHIR R4 的资源类型; {_SHAPE}", ".reference")
        if named and named != type_:
            return fault("bad-reference", f"reference 指向 {type_}, type 却是 {named}; 请改成一致", ".type")
        return check_type(type_, ".reference") if targets is not None else None

    return check_reference


_SHAPE = "应是 类型/id、#片段、绝对网址或 urn:uuid:"


def narrative(value: Any) -> Faults:
    """Check of Narrative.div: a well-formed XHTML div (refused otherwise), no scripts, forms or events; other unknown elements are remarked."""
    if type(value) is not str:
        return fault("wrong-shape", "应是文字")
    try:
        root = parse_div(value)
    except BadNarrative as bad:
        return fault("bad-narrative", f"{bad}; 请改成良构的 XHTML, 命名实体写成字符")
    if root.tag == "div":
        return fault("bad-narrative", f'div 应写明 xmlns="{XHTML}"')
    faults: list[Fault] = []
    if not _CONTENT(root):
        faults.append(("", "bad-narrative", "div 里应有文字或图片 (txt-2), 已照原样保留", "note"))
    lower = value.lower()
    if _HTML.issuperset(_NAME.findall(value)) and not any(s in lower for s in _SUSPECT):
        return faults or None
    for node in root.iter("*"):
        name = str(node.tag).removeprefix(f"{{{XHTML}}}")
        if name in _FORBIDDEN or any(str(a).lower().startswith("on") or "javascript:" in str(v).lower() for a, v in node.attrib.items()):
            faults += fault("bad-narrative", f"不能有 {name[:40]} 或事件属性 (txt-1); 请删去")
        elif name not in _HTML:
            faults.append(("", "bad-narrative", f"{name[:40]} 不是 FHIR 叙述允许的元素 (txt-1), 已照原样保留", "note"))
    return faults or None
