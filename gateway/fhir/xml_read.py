"""FHIR XML to the dicts that JSON gives, compiled per type from the R4 table (https://hl7.org/fhir/R4/xml.html).

Elements may stand in any order and leave in R4's; comments and processing instructions are dropped; whatever R4 does not know is a fault with
its place and line, never left out. Values are those of JSON: numbers and booleans by their type, decimals with their digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

from lxml import etree

from gateway.errors import Finding, Refused
from gateway.fhir import xhtml
from gateway.fhir.json import Resource
from gateway.fhir.shape import FHIR, XHTML, Shape, Slot, resource_shape, type_shape

__all__ = ["read"]

Node = etree._Element
Extra = dict[str, Any] | None
"""id and extensions of a primitive: what JSON keeps under `_name`."""

LONGEST_NUMBER = 256
"""Characters of a number; longer ones are refused before they are converted."""
_PROLOG = re.compile(r"\s*(?>(?>\s+|<\?.*?\?>|<!--.*?-->)*)<!DOCTYPE", re.DOTALL)
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_STRAY = etree.XPath("//f:*/text()[normalize-space()]/..", namespaces={"f": FHIR})


@dataclass(slots=True)
class Source:
    """One document while it is read: its characters, and its narratives as they were written."""

    text: str
    _divs: Iterator[str | None] | None = field(default=None, init=False)

    def div(self, node: Node) -> str:
        """The next narrative. Nodes are asked for in the order of the document."""
        if self._divs is None:
            self._divs = iter(()) if ":div" in self.text else xhtml.divs(self.text)
        return next(self._divs, None) or xhtml.rewritten(node)


class _Fault(Exception):
    """What is wrong with a node; becomes a Finding with path and line at the edge."""

    def __init__(self, node: Node, code: str, message: str) -> None:
        super().__init__(code)
        self.node, self.code, self.message = node, code, message


Read = Callable[[Node, Source], Any]
Member = tuple[str, str, int, bool, Read]
"""JSON name, name of what stands beside a primitive ("" for other elements), order, many, how to read: a primitive gives (value, extra)."""


def read(content: bytes) -> Resource:
    """The resource of a document. Raises Refused as `gateway.fhir.xml.decode` says."""
    source, root = _parsed(content)
    try:
        made = _resource(root, source)
        stray = _STRAY(root)
        if isinstance(stray, list) and stray and isinstance(stray[0], Node):
            raise _Fault(stray[0], "not-xml", "元素里有不该有的文字; FHIR 的值写在 value 属性里")
        return made
    except _Fault as fault:
        place = _place(root, fault.node)
        line = f"{fault.node.sourceline}" if fault.node.sourceline else ""
        where = f"第 {line} 行 {place}: " if line else f"{place}: "
        raise Refused(Finding(fault.code, "refuse", where + fault.message, target=place, line=line)) from None


def _parsed(content: bytes) -> tuple[Source, Node]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise _refused(f"第 {fault.start + 1} 个字节不是 UTF-8; FHIR XML 只用 UTF-8, 请转换编码后重发") from None
    if _PROLOG.match(text):
        raise _refused("不接受 DOCTYPE; 请删去它, 命名实体改写成字符本身")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True, encoding="utf-8"
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as fault:
        if getattr(fault, "code", None) == etree.ErrorTypes.ERR_RESOURCE_LIMIT:  # lxml-stubs know no code
            raise Refused(
                Finding("too-large", "refuse", "XML 里有超过 10 MB 的值, 或元素嵌套超过 256 层; 大的附件请用 JSON 或 Binary 的原格式发送")
            ) from None
        line, column = fault.position
        raise _refused(f"第 {line} 行第 {column} 列起不是良构的 XML; 请检查标签是否成对、字符是否转义", str(line or "")) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _refused("不接受 DOCTYPE; 请删去它")
    return Source(text), root


def _refused(message: str, line: str = "") -> Refused:
    return Refused(Finding("not-xml", "refuse", message, line=line))


def _resource(node: Node, source: Source) -> Resource:
    """A resource element with its resourceType first."""
    namespace, name = _split(node)
    shape = resource_shape(name) if namespace == FHIR else None
    if shape is None:
        expected = f"命名空间应是 {FHIR}" if namespace != FHIR else "应是 FHIR R4 的资源类型"
        raise _Fault(node, "unknown-type", f"{name} 不是资源; {expected}")
    made: Resource = {"resourceType": name}
    made.update(_reader(shape)(node, source))
    return made


class _Members(dict[str, Member]):
    """Members of a shape by the tag that lxml gives, each compiled when it is first met."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __missing__(self, tag: str) -> Member:
        namespace, _, name = tag[1:].rpartition("}")
        slot = self.shape.slot(name)
        if slot is None or slot.attribute or namespace != (XHTML if slot.kind == "xhtml" else FHIR):
            raise KeyError(tag)
        made: Member = (slot.name, f"_{name}" if slot.kind == "primitive" else "", slot.order, slot.many, _slot_reader(self.shape, slot))
        self[tag] = made
        return made


@lru_cache(maxsize=4096)
def _reader(shape: Shape) -> Callable[[Node, Source], dict[str, Any]]:
    """How an element of this shape is read."""
    members = _Members(shape)
    extension = shape.name == "Extension"

    def read_element(node: Node, source: Source) -> dict[str, Any]:
        made = _attributes(node, shape) if node.attrib else {}
        last, ordered, paired = -1, True, False
        for child in node:
            try:
                name, beside, order, many, read_value = members[child.tag]
            except KeyError:
                raise _Fault(child, "unknown-element", _unknown(shape, child)) from None
            if order < last:
                ordered = False
            last = order
            value = read_value(child, source)
            if beside:
                value, extra = value
                if extra is not None or beside in made:
                    paired = True
                    if many:
                        _pair(made, name, beside, extra)
                    elif beside in made or name in made:
                        raise _Fault(child, "wrong-cardinality", f"{name} 只能出现一次")
                    else:
                        made[beside] = extra
                        if value is None:
                            continue
            if many:
                if name in made:
                    made[name].append(value)
                else:
                    made[name] = [value]
            elif name in made:
                raise _Fault(child, "wrong-cardinality", f"{name} 只能出现一次")
            else:
                made[name] = value
        if paired or not ordered or (extension and "extension" in made):
            return _settled(made, shape)
        if not made and not shape.resource:
            raise _Fault(node, "bad-value", "元素是空的; 每个元素都要有值或下级元素")
        return made

    return read_element


def _pair(made: dict[str, Any], name: str, beside: str, extra: Extra) -> None:
    """Keeps id and extensions of a primitive in a list at the index that its value is about to get."""
    extras = made.setdefault(beside, [])
    extras.extend([None] * (len(made.get(name, ())) - len(extras)))
    extras.append(extra)


def _settled(made: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """The same in R4's order; a list whose values are all absent leaves only its `_name`."""
    for name in [n for n in made if n.startswith("_")]:
        values = made.get(name[1:])
        if isinstance(values, list) and all(v is None for v in values):
            del made[name[1:]]
    return {name: made[name] for name in sorted(made, key=shape.order)}


def _attributes(node: Node, shape: Shape) -> dict[str, Any]:
    """id and url; a schema location is ignored."""
    made: dict[str, Any] = {}
    for key, value in sorted(node.attrib.items()):  # id before url
        name = str(key)
        slot = shape.slot(name)
        if slot is not None and slot.attribute:
            if not value:
                raise _Fault(node, "bad-value", f"属性 {name} 是空的")
            made[name] = value
        elif not name.startswith(_XSI):
            raise _Fault(node, "unknown-element", f"不认识的属性 {name}")
    return made


def _slot_reader(shape: Shape, slot: Slot) -> Read:
    if slot.kind == "xhtml":
        return lambda node, source: source.div(node)
    if slot.kind == "resource":
        return _inner
    if slot.kind == "complex":
        return _reader(shape.below(slot))
    return _primitive(slot.type)


def _inner(node: Node, source: Source) -> Resource:
    """The one resource inside `contained`, `resource` or `outcome`."""
    if len(node) != 1 or node.attrib:
        raise _Fault(node, "bad-value", "里面应正好是一个资源")
    return _resource(node[0], source)


def _primitive(type_: str) -> Read:
    """Reads a primitive as (value, extra); the value is None when only extensions are there."""
    convert = _CONVERT.get(type_)

    def read_primitive(node: Node, source: Source) -> tuple[Any, Extra]:
        value: Any = node.get("value")
        extra: Extra = None
        if len(node) or len(node.attrib) != 1 or not value:
            extra = _extra(node, source, value)
        if convert is not None and value is not None:
            value = convert(value)
            if value is None:
                raise _Fault(node, "bad-value", f"value 不是 {type_}; {_EXPECTED[type_]}")
        return value, extra

    return read_primitive


def _extra(node: Node, source: Source, value: str | None) -> Extra:
    """id and extensions of a primitive; its other attributes and children are faults."""
    if value == "":
        raise _Fault(node, "bad-value", "value 是空的; 没有值时不写这个元素")
    made: dict[str, Any] = {}
    for key, text in node.attrib.items():
        if key == "id" and text:
            made["id"] = text
        elif key != "value":
            raise _Fault(node, "unknown-element", f"不认识的属性 {key!s}")
    members = _element_members()
    for child in node:
        try:
            name, _, _, _, read_extension = members[child.tag]
        except KeyError:
            raise _Fault(child, "unknown-element", _unknown(members.shape, child)) from None
        made.setdefault(name, []).append(read_extension(child, source))
    if value is None and not made:
        raise _Fault(node, "bad-value", "元素是空的; 每个元素都要有 value 或扩展")
    return made or None


@lru_cache(maxsize=1)
def _element_members() -> _Members:
    """What stands inside a primitive."""
    return _Members(type_shape("Element"))


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= LONGEST_NUMBER and _INTEGER.fullmatch(text) else None


def _decimal(text: str) -> int | Decimal | None:
    """As JSON would give it: an integer without point and exponent, else a Decimal with its digits."""
    if len(text) > LONGEST_NUMBER or not _DECIMAL.fullmatch(text):
        return None
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)


_CONVERT: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "positiveInt": _integer,
    "unsignedInt": _integer,
    "decimal": _decimal,
}
_EXPECTED = {
    "boolean": "应是 true 或 false",
    "integer": "应是整数",
    "positiveInt": "应是正整数",
    "unsignedInt": "应是零或正整数",
    "decimal": "应是十进制数, 例如 5.60",
}


def _split(node: Node) -> tuple[str, str]:
    namespace, _, name = str(node.tag).rpartition("}")
    return namespace[1:], name


def _unknown(shape: Shape, child: Node) -> str:
    """Why a child is no element of this shape."""
    namespace, name = _split(child)
    slot = shape.slot(name)
    if slot is None:
        return f"{shape.name} 没有元素 {name}; 请改正名称或删去它"
    if slot.attribute:
        return f"{name} 应写成属性, 不是元素"
    return f"{name} 的命名空间应是 {XHTML if slot.kind == 'xhtml' else FHIR}, 现在是 {namespace or '空'}"


def _place(root: Node, node: Node) -> str:
    """FHIRPath-like expression of a node: `Patient.name[0].given`, resources inside `contained` and `resource` without their type."""
    path = [node, *node.iterancestors()][::-1]
    place = _split(root)[1]
    shape = resource_shape(place)
    for parent, child in pairwise(path):
        name = _split(child)[1]
        inner = resource_shape(name) if shape is None else None
        if inner is not None:  # the level between `contained` and the elements of its resource
            shape = inner
            continue
        slot = shape.slot(name) if shape is not None else None
        place += f".{slot.step if slot is not None else name}"
        if slot is not None and slot.many:
            place += f"[{parent.findall(child.tag).index(child)}]"
        shape = _below(shape, slot)
    return place


def _below(shape: Shape | None, slot: Slot | None) -> Shape | None:
    """The shape inside a slot; None where a resource or nothing known follows."""
    if shape is None or slot is None or slot.kind == "resource":
        return None
    return shape.below(slot) if slot.kind == "complex" else type_shape("Element")
