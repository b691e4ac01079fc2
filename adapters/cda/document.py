"""Bytes -> a CDA document tree, or a refusal: encoding, DOCTYPE, well-formedness, root element, document type.

CDA Release 2 (HL7 v3, `urn:hl7-org:v3`); the shared documents of WS/T 500-2016 (templateId 2.16.156.10011.2.1.1.(20+n), code C00nn in
2.16.156.10011.2.4). Middleware in the field strips the namespace, so documents are read with it and without it.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO

from lxml import etree

from gateway.errors import Finding, Refused

__all__ = ["NAMESPACE", "Document", "charset_of", "read"]

URI = "urn:hl7-org:v3"
NAMESPACE = "{" + URI + "}"
ROOT = "ClinicalDocument"
TEMPLATES = "2.16.156.10011.2.1.1."  # + (20 + n) is WS/T 500.n

_DECLARED = re.compile(rb"\A\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_PROLOG = rb"\A(?:\xef\xbb\xbf)?(?:\s++|<\?.*?\?>|<!--.*?-->)*+"
_ATTRIBUTES = rb"(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*?"
_DEFAULT = re.compile(_PROLOG + b"<ClinicalDocument" + _ATTRIBUTES + rb"\s+(xmlns\s*=\s*[\"']urn:hl7-org:v3[\"'])[\s>]", re.DOTALL)
_DOCTYPE = re.compile(_PROLOG + b"<!DOCTYPE", re.DOTALL)
_CODE = re.compile(r"C\d{4}")
_GB = ("gb18030", "gbk", "gb2312")
_NOT_CREDIBLE = ("", "utf-8", "iso8859-1", "cp1252", "latin_1")  # a Western code page decodes anything, and no Chinese document is in one
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document. type: `C0007`, or "" when neither code nor templateId says it. charset: IANA name of the encoding that was
    used. prefix: what stands before every tag, `{urn:hl7-org:v3}` or nothing. findings: remarks on the encoding."""

    content: bytes
    root: etree._Element
    prefix: str
    type: str
    charset: str
    findings: tuple[Finding, ...]


def read(content: bytes | BinaryIO, limit: int) -> Document:
    """Parses one document of at most `limit` bytes. Raises Refused: too large, undecodable, DOCTYPE, not XML, too deep, not CDA."""
    whole = content if isinstance(content, bytes) else content.read(limit + 1)
    if len(whole) > limit:
        raise _refused("too-large", f"CDA 文档超过 {limit} 字节的上限; 请在来源配置 [options] 的 max_bytes 里放宽, 或让发送方拆分附件")
    if not whole.strip():
        raise _refused("not-xml", "文档是空的, 应为一份 CDA XML 文档; 请检查导出程序是否在写完之前就交付了文件")
    root, charset, findings = _tree(whole)
    prefix = NAMESPACE if root.tag.startswith(NAMESPACE) else ""
    if root.tag != prefix + ROOT:
        name = etree.QName(root.tag).localname
        raise _refused("not-cda", f"根元素是 {name[:60]}, 应为 ClinicalDocument(命名空间 urn:hl7-org:v3 或无); 请确认送来的是 WS/T 500 共享文档")
    return Document(whole, root, prefix, _type(root, prefix), charset, findings)


def _tree(content: bytes) -> tuple[etree._Element, str, tuple[Finding, ...]]:
    """The root, the encoding used and a remark on it. The parser checks UTF-8 itself; only other encodings are decoded beforehand."""
    _no_doctype(content)
    try:
        root = _parse(content)
    except etree.XMLSyntaxError as fault:
        utf8, charset, findings = _utf8(content)
        if charset == "UTF-8":
            raise _malformed(fault) from None
        _no_doctype(utf8)
        try:
            return _parse(utf8), charset, findings
        except etree.XMLSyntaxError as other:
            raise _malformed(other) from None
    return root, "UTF-8", _claims_utf8(content, _declared(content))


def _parse(utf8: bytes) -> etree._Element:
    """Parses UTF-8 whatever the declaration says: no DTD, no entities, no network, libxml2's limits on depth and size."""
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    return etree.fromstring(_without_default(utf8), parser)


def _without_default(utf8: bytes) -> bytes:
    """The document with its only mention of the namespace, `xmlns` in the root element, blanked out in place: a tag of lxml without a
    namespace costs a third, and documents are read either way. Anything else about namespaces stays as it is."""
    found = _DEFAULT.match(utf8)
    if found is None or utf8.find(URI.encode(), found.end()) != -1:
        return utf8
    start, end = found.span(1)
    return utf8[:start] + b" " * (end - start) + utf8[end:]


def _no_doctype(content: bytes) -> None:
    if _DOCTYPE.match(content):
        raise _refused("xml-doctype", "文档带有 DOCTYPE 声明, 可能借实体攻击, 不予解析; WS/T 500 文档不需要 DOCTYPE, 请发送方去掉后重发")


def _malformed(fault: etree.XMLSyntaxError) -> Refused:
    reason = (fault.msg or "").lower()
    if "depth" in reason:
        return _refused("xml-too-deep", "文档嵌套超过 256 层, 不予解析; 请发送方检查导出模板是否循环嵌套")
    if "huge" in reason or "too long" in reason:
        return _refused("xml-too-large", "文档里有一段超过 10 MB 的文本或属性, 不予解析; 请发送方把附件另行传送")
    line, column = fault.position
    return _refused("not-xml", f"不是合法的 XML: 第 {line} 行第 {column} 列解析失败; 请检查文件是否完整、标签是否成对")


def _claims_utf8(content: bytes, declared: str) -> tuple[Finding, ...]:
    """The remark on a document that is UTF-8 and declares something else; plain ASCII agrees with every declaration."""
    return () if declared in ("", "utf-8") or content.isascii() else (_disagreement(declared, "UTF-8"),)


def charset_of(content: bytes) -> str:
    """IANA name of the encoding that `read` will use, "" when the bytes cannot be decoded."""
    try:
        return _utf8(content)[1]
    except Refused:
        return ""


def _utf8(content: bytes) -> tuple[bytes, str, tuple[Finding, ...]]:
    """The document as UTF-8, the encoding used, and a remark when the declaration said otherwise (declarations lie, the bytes decide):
    strict UTF-8, else strictly as declared, else strictly GB18030, which contains GBK and GB 2312."""
    declared = _declared(content)
    if content.isascii() or _strict(content, "utf-8") is not None:
        return content, "UTF-8", _claims_utf8(content, declared)
    candidates = ("utf-16",) if content.startswith(_UTF16) else (declared, "gb18030")
    for name in dict.fromkeys(candidates):
        text = _strict(content, name) if name not in _NOT_CREDIBLE else None
        if text is not None:
            charset = "GB18030" if name in _GB else name.upper()
            agrees = name in (declared, "utf-16") or declared in _GB
            return text.encode(), charset, () if agrees else (_disagreement(declared, charset),)
    raise _refused("undecodable", f"按 UTF-8、声明的 {declared or '(未声明)'} 和 GB18030 都不能完整解码, 字节有损坏; 请发送方以 UTF-8 重新导出")


def _declared(content: bytes) -> str:
    """Canonical Python name of the declared encoding, "" when there is none or nobody knows it."""
    found = _DECLARED.match(content[:300].removeprefix(codecs.BOM_UTF8))
    if found is None:
        return ""
    try:
        return codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        return ""


def _strict(content: bytes, name: str) -> str | None:
    try:
        return content.decode(name)
    except (UnicodeError, LookupError):
        return None


def _type(root: etree._Element, prefix: str) -> str:
    """The document type from `code/@code`, else from the WS/T 500 templateId."""
    code = next(root.iterchildren(prefix + "code"), None)
    found = _CODE.search(code.get("code", "")) if code is not None else None
    if found:
        return found[0]
    for template in root.iterchildren(prefix + "templateId"):
        number = template.get("root", "").removeprefix(TEMPLATES)
        if number.isdecimal() and 21 <= int(number) <= 73:
            return f"C{int(number) - 20:04d}"
    return ""


def _disagreement(declared: str, used: str) -> Finding:
    return Finding(
        "charset-disagrees", "note", f"文档声明的编码是 {declared or '(未声明)'}, 实际按 {used} 解码; 请发送方改正 XML 声明", source="?xml/@encoding"
    )


def _refused(code: str, message: str) -> Refused:
    return Refused(Finding(code, "refuse", message))
