"""The narrative's attributes: only those of HTML's chapters that R4 names (txt-1, https://hl7.org/fhir/R4/narrative.html#xhtml)."""

from __future__ import annotations

import re
from typing import Any

from gateway.fhir.shape import XHTML
from gateway.fhir.structure_values import Fault, Faults, fault, narrative
from gateway.fhir.xhtml import parse_div

__all__ = ["strict"]

_ANYWHERE = frozenset(
    "title style class id idref lang xml:lang dir accesskey tabindex span width align valign char charoff abbr axis headers scope rowspan "
    "colspan".split()
)
_OF_ELEMENT = {
    "a": frozenset("href name charset type hreflang rel rev shape coords target".split()),
    "img": frozenset("src border alt longdesc height width usemap ismap".split()),
    "div": frozenset({"xmlns"}),
    "blockquote": frozenset({"cite"}),
    "q": frozenset({"cite"}),
    "map": frozenset({"name"}),
    "area": frozenset("shape coords href nohref alt".split()),
    "table": frozenset("summary width border frame rules cellspacing cellpadding".split()),
    "pre": frozenset({"space"}),
    "td": frozenset({"nowrap"}),
}
_NAME = re.compile(r"\s([\w:.\-]+)\s*=\s*[\"']")
_USUAL = _ANYWHERE | {"xmlns"}
_XML = "{http://www.w3.org/XML/1998/namespace}"


def strict(value: Any) -> Faults:
    """`gateway.fhir.structure_values.narrative` with its remarks as errors, and the attributes."""
    faults = narrative(value)
    if faults is not None:
        return [(path, code, message.removesuffix(", 已照原样保留"), "refuse") for path, code, message, _ in faults]
    return None if _USUAL.issuperset(_NAME.findall(value)) else _attributes(value)


def _attributes(value: str) -> Faults:
    faults: list[Fault] = []
    for node in parse_div(value).iter("*"):
        element = str(node.tag).removeprefix(f"{{{XHTML}}}")
        for attribute in node.attrib:
            name = str(attribute).replace(_XML, "xml:")
            if name not in _ANYWHERE and name not in _OF_ELEMENT.get(element, ()):
                faults += fault("bad-narrative", f"{element} 不能有属性 {name[:40]} (txt-1); 请删去")
    return faults or None
