"""Reading single values out of a CDA tree: the value of an observation, an element by a path, a property of the whole document."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from lxml import etree

from adapters.cda.document import Document
from adapters.cda.locators import Path, Step

__all__ = ["PROPERTIES", "Read", "follows", "reader"]

Read = Callable[[etree._Element], str | None]
"""Element -> its text or attribute without surrounding blanks; None or "" when there is none."""

_WHOLE = ("value", "code", "displayName")  # what stands for a value without text: PQ, REAL, TS, BL; then CD, CE, CO

PROPERTIES: Mapping[str, Callable[[Document], str]] = {
    "base64": lambda d: base64.b64encode(d.content).decode("ascii"),
    "charset": lambda d: d.charset,
    "media-type": lambda d: f"application/xml; charset={d.charset}",
    "sha1": lambda d: base64.b64encode(hashlib.sha1(d.content, usedforsecurity=False).digest()).decode("ascii"),
    "size": lambda d: str(len(d.content)),
    "type": lambda d: d.type,
}


def reader(path: Path, prefix: str, *, value: bool = False) -> Read:
    """Compiles a path to a function of its anchor. With `value` a path without steps is read from an observation's `value` element: its
    text, else @value, @code, @displayName; or the path's attribute."""
    take = _attribute(path.attribute) if path.attribute else _value if value and not path.steps else _text
    if not path.steps:
        return take
    steps = path.steps
    if all(not step.which and not step.deep for step in steps):
        return _straight([prefix + step.tag for step in steps], take)

    def read(anchor: etree._Element) -> str | None:
        for element in _descend(anchor, steps, prefix):
            found = take(element)
            if found:
                return found
        return None

    return read


def follows(element: etree._Element, step: Step, prefix: str) -> bool:
    """Whether the element is the one that the step's brackets mean: by its OID, that of its id, or the displayName of its code."""
    if not step.which:
        return True
    root = element.get("root")
    if root is not None:
        return _ends(root, step.which)
    for child in element:
        if child.tag == prefix + "id" and _ends(child.get("root", ""), step.which):
            return True
        if _named(child, step.which, prefix) or any(_named(grandchild, step.which, prefix) for grandchild in child):
            return True
    return False


def _named(element: etree._Element, which: Sequence[str], prefix: str) -> bool:
    return element.tag == prefix + "code" and (element.get("displayName", "").strip() in which or element.get("code", "").strip() in which)


@lru_cache(maxsize=4096)
def _ends(oid: str, tails: tuple[str, ...]) -> bool:
    return any(oid == tail or oid.endswith("." + tail) for tail in tails)


def _descend(anchor: etree._Element, steps: Sequence[Step], prefix: str) -> Iterator[etree._Element]:
    step, rest = steps[0], steps[1:]
    tag = prefix + step.tag
    for element in anchor.iterdescendants(tag) if step.deep else anchor.iterchildren(tag):
        if follows(element, step, prefix):
            if rest:
                yield from _descend(element, rest, prefix)
            else:
                yield element


def _straight(tags: Sequence[str], take: Read) -> Read:
    """Reader of a path without brackets and depth, the common case: nested loops, no generators."""
    inner = take if len(tags) == 1 else _straight(tags[1:], take)
    tag = tags[0]

    def read(anchor: etree._Element) -> str | None:
        child = anchor[0] if len(anchor) else None
        while child is not None:  # from sibling to sibling: lxml's iterator costs twice that
            if child.tag == tag and (found := inner(child)):
                return found
            child = child.getnext()
        return None

    return read


def _attribute(name: str) -> Read:
    def read(element: etree._Element) -> str | None:
        found = element.get(name)
        return found.strip() if found else None

    return read


def _text(element: etree._Element) -> str | None:
    if len(element) == 0:
        return element.text.strip() if element.text else None
    return " ".join("".join(str(part) for part in element.itertext()).split())


def _value(element: etree._Element) -> str | None:
    text = element.text
    if text and len(element) == 0 and (text := text.strip()):
        return text
    if len(element) and (text := _text(element)):
        return text
    for name in _WHOLE:
        attribute = element.get(name)
        if attribute and (stripped := attribute.strip()):
            return stripped
    return None
