"""FHIR JSON's dicts to FHIR XML, compiled per type from the R4 table (https://hl7.org/fhir/R4/xml.html).

Elements leave in R4's order whatever the order of the dict. Text is written directly: every value is escaped, every narrative is parsed before
it is put in, and a character that XML cannot carry is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.errors import Finding, Refused
from gateway.fhir import xhtml
from gateway.fhir.json import Resource
from gateway.fhir.shape import FHIR, Shape, Slot, resource_shape, type_shape

__all__ = ["pieces"]

Out = list[str]
Write = Callable[[Any, dict[str, Any], Out], None]
"""Writes a slot: (value, the dict it stands in, pieces so far). One piece is one tag, or one whole narrative."""

_UNSAFE = re.compile('[&<>"\t\n\r\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class _Fault(Exception):
    """What cannot be written; each level that it passes adds its step, the innermost first."""

    def __init__(self, code: str, message: str, *steps: str) -> None:
        super().__init__(code)
        self.code, self.message, self.steps = code, message, list(steps)


def pieces(resource: Resource) -> list[str]:
    """The tags of a resource. Raises Refused with `unknown-type`, `unknown-element`, `wrong-shape` or `bad-value` and the expression."""
    made: Out = []
    try:
        _resource(resource, made, f' xmlns="{FHIR}"')
    except _Fault as fault:
        place = "".join(f".{s}" for s in reversed(fault.steps)).replace(".[", "[").lstrip(".")
        raise Refused(Finding(fault.code, "refuse", f"{place}: {fault.message}", target=place)) from None
    except RecursionError:
        raise Refused(Finding("too-deep", "refuse", "元素嵌套过深, 不能写成 XML")) from None
    return made


def _resource(resource: Any, out: Out, namespace: str = "") -> None:
    type_ = resource.get("resourceType") if isinstance(resource, dict) else None
    shape = resource_shape(type_)
    if shape is None:
        raise _Fault("unknown-type", "不是 FHIR R4 的资源; resourceType 应是资源类型")
    try:
        _writer(shape)(resource, out, shape.name, namespace)
    except _Fault as fault:
        if namespace:
            fault.steps.append(shape.name)
        raise


class _Members(dict[str, tuple[int, Write]]):
    """Order and writer by JSON name, each compiled when it is first met."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __missing__(self, name: str) -> tuple[int, Write]:
        if name == "resourceType" and self.shape.resource:
            made: tuple[int, Write] = (-1, _nothing)
        else:
            own = name.removeprefix("_")
            slot = self.shape.slot(own)
            if slot is None or (name != own and slot.kind != "primitive"):
                raise _Fault("unknown-element", f"{self.shape.name} 没有这个元素; 请改正名称或删去它", name)
            made = (self.shape.order(name), _nothing if slot.attribute else _slot_writer(self.shape, slot, beside=name != own))
        self[name] = made
        return made


def _nothing(value: Any, holder: dict[str, Any], out: Out) -> None:
    """resourceType, id and url stand in the tag already."""


Element = Callable[[Any, Out, str, str], None]


@lru_cache(maxsize=4096)
def _writer(shape: Shape) -> Element:
    """How an element of this shape is written: (dict, pieces, tag name, further attributes)."""
    members = _Members(shape)
    attributed = not shape.resource

    def write_element(value: Any, out: Out, name: str, attributes: str = "") -> None:
        if type(value) is not dict:
            raise _Fault("wrong-shape", "应是一个对象")
        if attributed and ("id" in value or "url" in value):
            attributes += _attributes(value, shape)
        out.append(f"<{name}{attributes}>")
        last, opened = -1, len(out)
        for key, below in value.items():
            order, write = members[key]
            if order < last:
                break
            last = order
            write(below, value, out)
        else:
            out.append(f"</{name}>")
            return
        del out[opened:]
        for key in sorted(value, key=lambda k: members[k][0]):
            members[key][1](value[key], value, out)
        out.append(f"</{name}>")

    return write_element


def _attributes(value: dict[str, Any], shape: Shape) -> str:
    """id, and url of an extension, as attributes."""
    made = ""
    for name in ("id", "url"):
        text = value.get(name)
        slot = shape.slot(name) if text is not None else None
        if slot is not None and slot.attribute:
            try:
                made += f' {name}="{_string(text)}"'
            except _Fault as fault:
                fault.steps.append(name)
                raise
    return made


def _slot_writer(shape: Shape, slot: Slot, beside: bool) -> Write:
    """Writes what stands under a JSON name. A `_name` whose `name` is there too is written with it."""
    if beside:
        return _beside(slot)
    if slot.kind == "primitive":
        return _located(slot, _primitives(slot) if slot.many else _primitive(slot))
    one = _one(shape, slot)
    if not slot.many:
        return _located(slot, lambda value, holder, out: one(value, out))

    def write_many(value: Any, holder: dict[str, Any], out: Out) -> None:
        if type(value) is not list:
            raise _Fault("wrong-shape", "应是一个列表")
        for number, item in enumerate(value):
            try:
                one(item, out)
            except _Fault as fault:
                fault.steps.append(f"[{number}]")
                raise

    return _located(slot, write_many)


def _located(slot: Slot, write: Write) -> Write:
    """The same, telling its step when it fails."""

    def write_located(value: Any, holder: dict[str, Any], out: Out) -> None:
        try:
            write(value, holder, out)
        except _Fault as fault:
            fault.steps.append(slot.step)
            raise

    return write_located


def _one(shape: Shape, slot: Slot) -> Callable[[Any, Out], None]:
    """Writes one value that is no primitive."""
    name = slot.name
    if slot.kind == "xhtml":
        return _narrative
    if slot.kind == "resource":

        def write_inner(value: Any, out: Out) -> None:
            out.append(f"<{name}>")
            _resource(value, out)
            out.append(f"</{name}>")

        return write_inner
    write_element = _writer(shape.below(slot))
    return lambda value, out: write_element(value, out, name, "")


def _narrative(value: Any, out: Out) -> None:
    try:
        out.append(xhtml.embedded(value if isinstance(value, str) else ""))
    except xhtml.BadNarrative as fault:
        raise _Fault("bad-value", str(fault)) from None


def _primitive(slot: Slot) -> Write:
    name, beside, text = slot.name, f"_{slot.name}", _TEXT.get(slot.type, _string)

    def write_primitive(value: Any, holder: dict[str, Any], out: Out) -> None:
        if beside in holder:
            _extended(name, None if value is None else text(value), holder[beside], out)
        else:
            out.append(f'<{name} value="{text(value)}"/>')

    return write_primitive


def _primitives(slot: Slot) -> Write:
    name, beside, text = slot.name, f"_{slot.name}", _TEXT.get(slot.type, _string)

    def write_primitives(value: Any, holder: dict[str, Any], out: Out) -> None:
        extras = holder.get(beside, [])
        if type(value) is not list or type(extras) is not list:
            raise _Fault("wrong-shape", "应是一个列表")
        for number in range(max(len(value), len(extras))):
            item = value[number] if number < len(value) else None
            extra = extras[number] if number < len(extras) else None
            try:
                if extra is None:
                    out.append(f'<{name} value="{text(item)}"/>')
                else:
                    _extended(name, None if item is None else text(item), extra, out)
            except _Fault as fault:
                fault.steps.append(f"[{number}]")
                raise

    return write_primitives


def _beside(slot: Slot) -> Write:
    """Writes `_name` where there is no `name`."""
    write = _located(slot, _primitives(slot) if slot.many else _primitive(slot))

    def write_beside(value: Any, holder: dict[str, Any], out: Out) -> None:
        if slot.name not in holder:
            write([] if slot.many else None, holder, out)

    return write_beside


def _extended(name: str, text: str | None, extra: Any, out: Out) -> None:
    """A primitive with id or extensions."""
    attributes = "" if text is None else f' value="{text}"'
    if type(extra) is dict and extra.keys() == {"id"} and text is not None:
        out.append(f'<{name} id="{_string(extra["id"])}"{attributes}/>')
    else:
        _writer(type_shape("Element"))(extra, out, name, attributes)


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _Fault("wrong-shape", "应是文字")
    if _UNSAFE.search(value):
        if _FORBIDDEN.search(value):
            raise _Fault("bad-value", "有 XML 不能表示的控制字符; 请删去它")
        return value.translate(_ESCAPES)
    return value


def _boolean(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise _Fault("wrong-shape", "应是 true 或 false")


def _integer(value: Any) -> str:
    if type(value) is not int:
        raise _Fault("wrong-shape", "应是整数")
    return str(value)


def _decimal(value: Any) -> str:
    if type(value) is not int and not (type(value) is Decimal and value.is_finite()):
        raise _Fault("wrong-shape", "应是数")
    return str(value)


_TEXT: dict[str, Callable[[Any], str]] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "decimal": _decimal,
}
