"""The narrative's XHTML between JSON, where it is a string, and XML, where it is part of the document (https://hl7.org/fhir/R4/narrative.html).

It is kept as it was written: XML carries the characters of the JSON string, and JSON the characters of the document. Only what would not
survive changes: named entities of HTML become their characters, and a div whose names lean on prefixes declared above it is written out anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.entities import html5

from lxml import etree

from gateway.fhir.shape import XHTML

__all__ = ["BadNarrative", "divs", "embedded", "parse_div", "rewritten"]

_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True, encoding="utf-8"
)
_PREDEFINED = frozenset({"amp", "lt", "gt", "quot", "apos"})
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_TAG = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(?P<close>/?)div(?=[\s/>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*?(?P<empty>/?)>", re.DOTALL)
_OPEN = re.compile(r"<div(?=[\s/>])(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_PREFIXED = re.compile(r"</?[A-Za-z_][\w.-]*:|\s(?!xml:)[A-Za-z_][\w.-]*:[\w.-]+\s*=")
_CARRIAGE = "&#xD;"
"""How a carriage return of the JSON string stands in XML, where a bare one would be read as a line feed."""


class BadNarrative(ValueError):
    """The div is not well-formed, or is no XHTML div. The text names the fault, never the narrative."""


def parse_div(text: str) -> etree._Element:
    """The div as a tree. Raises BadNarrative when it is not well-formed XML or its root is no `div`."""
    try:
        root = etree.fromstring(text.encode(), _PARSER)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as fault:
        line = f"第 {fault.lineno} 行" if isinstance(fault, etree.XMLSyntaxError) and fault.lineno else ""
        raise BadNarrative(f"div {line}不是良构的 XHTML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadNarrative("div 里不能有 DOCTYPE")
    if root.tag not in (f"{{{XHTML}}}div", "div"):
        raise BadNarrative(f"最外层的元素应是 {XHTML} 的 div")
    return root


def embedded(text: str) -> str:
    """The div of a JSON string as it stands in an XML document. Raises BadNarrative."""
    try:
        root = parse_div(text)
    except BadNarrative:
        named = _ENTITY.sub(_character, text)
        if named == text:
            raise
        text, root = named, parse_div(named)
    if not text.startswith("<div"):
        return rewritten(root)
    if root.tag == "div":
        text = f'<div xmlns="{XHTML}"' + text[4:]
    return text.rstrip().replace("\r", _CARRIAGE)


def _character(found: re.Match[str]) -> str:
    name = found.group(1)
    return found.group(0) if name in _PREDEFINED else html5.get(name + ";", found.group(0))


def divs(text: str) -> Iterator[str | None]:
    """The outermost divs of a well-formed document in their order, as written; None for one that cannot stand alone."""
    depth, start = 0, 0
    for tag in _TAG.finditer(text):
        if tag["close"] is None:
            continue
        if tag["close"]:
            depth -= 1
        elif depth == 0:
            start = tag.start()
            depth = 0 if tag["empty"] else 1
        elif not tag["empty"]:
            depth += 1
        if depth == 0:
            yield _alone(text[start : tag.end()])


def _alone(div: str) -> str | None:
    opening = _OPEN.match(div)
    if opening is None or f'"{XHTML}"' not in opening.group(0) or "xmlns=" not in opening.group(0) or _PREFIXED.search(div):
        return None
    return div.replace("\r\n", "\n").replace("\r", "\n").replace(_CARRIAGE, "\r")


def rewritten(root: etree._Element) -> str:
    """A div written anew with XHTML as its default namespace."""
    made = etree.Element(f"{{{XHTML}}}div", nsmap={None: XHTML})  # type: ignore[dict-item]  # lxml-stubs know no default namespace
    _copied(root, made)
    return etree.tostring(made, encoding="unicode")


def _copied(node: etree._Element, made: etree._Element) -> None:
    made.text = node.text
    for name, value in node.attrib.items():
        made.set(name, value)
    for child in node.iterchildren("*"):
        below = etree.SubElement(made, child.tag if child.tag.startswith("{") else f"{{{XHTML}}}{child.tag}")
        _copied(child, below)
        below.tail = child.tail
