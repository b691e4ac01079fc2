"""The adapter's short addresses of places in a CDA document, parsed once.

DE04.30.015.00                     value of the observation whose code is this data element (text, else @value, @code, @displayName)
DE05.01.024.00/@code               attribute of that value
DE05.10.130.00[中医证候代码]          the same, where two roles share a code: qualifier or display name decides
DE04.50.134.00/effectiveTime/low/@value   path below the observation
section(检验报告)/DE06.00.179.00      only inside that section: LOINC or DE code, or displayName; `|` between alternatives
section(10154-3)/text              narrative of that section
recordTarget/patientRole/id[1.11]/@extension   path from the root; [..] is the tail of an OID or a displayName of its code
componentOf//wholeOrganization[1.26]/name      // at any depth
document/charset                   of the document itself: base64, charset, media-type, sha1, size, type
xpath:count(//entry)               anything else; element names without prefix
A || B                             the first that has a value
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

__all__ = ["DOCUMENT", "Entry", "Locator", "Narrative", "Path", "Step", "Whole", "XPath", "fault", "parse"]

DOCUMENT = ("base64", "charset", "media-type", "sha1", "size", "type")

_ENTRY = re.compile(r"(DE\d\d\.\d\d\.\d\d\d\.\d\d)(?:\[([^\]/]+)\])?(?:/(.+))?")
_SECTION = re.compile(r"section\(([^()]+)\)/(.+)")
_STEP = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\[([^\]/]+)\])?")
_ATTRIBUTE = re.compile(r"@[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a path. which: alternatives of an OID tail (`1.11`) or of its code's displayName; deep: at any depth below."""

    tag: str
    which: tuple[str, ...] = ()
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """Elements from an anchor down, and the attribute to read; "" reads the text. No steps: the anchor's own value."""

    steps: tuple[Step, ...] = ()
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An observation by its data element code. sections: only there (LOINC, DE code or displayName); role: qualifier or displayName."""

    element: str
    path: Path
    role: str = ""
    sections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Narrative:
    """`text` or `title` of a section."""

    sections: tuple[str, ...]
    tag: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A property of the document as bytes, one of DOCUMENT."""

    property: str


@dataclass(frozen=True, slots=True)
class XPath:
    """The fallback; evaluated on the tree without namespaces."""

    expression: str


Locator = Entry | Narrative | Path | Whole | XPath


def parse(locator: str) -> tuple[Locator, ...]:
    """The alternatives of a locator, in order. Raises ValueError with a Chinese text that says what is wrong."""
    return tuple(_one(part.strip()) for part in locator.split("||"))


def fault(locator: str) -> str | None:
    """What is wrong with a locator, in Chinese; None when it is well formed."""
    try:
        parse(locator)
    except ValueError as wrong:
        return str(wrong)
    return None


def _one(text: str) -> Locator:
    if not text:
        raise ValueError("定位是空的; 应为数据元编码(如 DE04.30.015.00)、section(…)/…、元素路径或 xpath:…")
    if text.startswith("xpath:"):
        return _xpath(text.removeprefix("xpath:"))
    if text.startswith("document/"):
        name = text.removeprefix("document/")
        if name not in DOCUMENT:
            raise ValueError(f"document/ 之后是 `{name}`, 应为 {'、'.join(DOCUMENT)} 之一")
        return Whole(name)
    sections, rest = _section(text)
    entry = _ENTRY.fullmatch(rest)
    if entry:
        element, role, tail = entry.groups()
        return Entry(element, path(tail) if tail else Path(), role or "", sections)
    if rest.startswith("DE") and rest[2:3].isdigit():
        raise ValueError(f"`{rest}` 不是数据元编码, 应形如 DE04.30.015.00(两位.两位.三位.两位), 后面可接 /@code 等")
    if sections:
        if rest not in ("text", "title"):
            raise ValueError(f"section(…)/ 之后是 `{rest}`, 应为数据元编码、text 或 title")
        return Narrative(sections, rest)
    return path(rest)


def _section(text: str) -> tuple[tuple[str, ...], str]:
    if not text.startswith("section("):
        return (), text
    found = _SECTION.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` 应写作 section(章节编码或名称)/…, 多个名称用 | 隔开")
    return tuple(name.strip() for name in found[1].split("|") if name.strip()), found[2]


def path(text: str) -> Path:
    """A path of elements with an optional attribute at its end."""
    head, _, last = text.rpartition("/")
    attribute = ""
    if last.startswith("@"):
        if not _ATTRIBUTE.fullmatch(last):
            raise ValueError(f"`{last}` 不是属性名, 应形如 @extension")
        attribute, text = last[1:], head
    steps: list[Step] = []
    deep = False
    for part in text.split("/") if text else ():
        if not part and steps and not deep:
            deep = True
            continue
        found = _STEP.fullmatch(part)
        if not found:
            raise ValueError(f"`{text}` 里的 `{part}` 不是元素名; 应形如 recordTarget/patientRole/id[1.11]/@extension")
        which = tuple(w.strip() for w in (found[2] or "").split("|") if w.strip())
        steps.append(Step(found[1], which, deep))
        deep = False
    if deep or (not steps and not attribute):
        raise ValueError(f"`{text}` 没有写完, // 之后还应有元素名")
    return Path(tuple(steps), attribute)


def _xpath(expression: str) -> XPath:
    try:
        etree.XPath(expression)
    except etree.XPathSyntaxError as wrong:
        raise ValueError(f"XPath `{expression}` 不合语法: {wrong}") from wrong
    return XPath(expression)
