"""Charset of a message: UTF-8 strict, then what MSH-18 says, strict, then GB18030 strict; never replaced characters.

Senders lie in MSH-18 (HL7 table 0211), so the bytes decide and the disagreement is remarked. Text is decoded before it is split:
the second byte of a GB18030 character may equal `|`, `^`, `~` or a backslash.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from gateway.errors import Finding, Refused

TABLE_0211: dict[str, str] = {
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/5": "iso8859-5",
    "8859/15": "iso8859-15",
    "UNICODE": "utf-16",
    "UNICODE UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB 18030-2000": "gb18030",
    "GB18030-2000": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
    "BIG-5": "big5",
}
"""HL7 table 0211 and what senders write in its place, to Python codecs. GB 18030 contains GBK and GB 2312."""

_LOOK = 2048


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text of a message, the codec it was read with, and a remark when MSH-18 said otherwise."""

    text: str
    charset: str
    findings: tuple[Finding, ...] = ()


def decode(content: bytes, preferred: str = "") -> Decoded:
    """Decodes a message. `preferred`: codec that the source profile states; it then stands in place of MSH-18's.

    Raises Refused (`undecodable`) when no candidate reads every byte.
    """
    if content.isascii():
        if b"\0" in content:
            raise Refused(_undecodable(content, ""))
        return Decoded(content.decode("ascii"), "utf-8")
    stated = stated_charset(content)
    named = _codec(preferred) or _codec(stated)
    for codec in dict.fromkeys(("utf-8", named, "gb18030")):
        text = _strict(content, codec)
        if text is not None:
            return Decoded(text, codec, _remarks(text, codec, stated))
    raise Refused(_undecodable(content, stated))


def stated_charset(content: bytes) -> str:
    """First repetition of MSH-18 as written, "" when there is none."""
    head = content[:_LOOK].replace(b"\n", b"\r").split(b"\r", 1)[0]
    text = head.decode("gb18030", "replace") if len(head) > 4 else ""
    fields = text.split(text[3]) if text.startswith("MSH") else []
    return fields[17].split("~")[0].strip() if len(fields) > 17 else ""


def _codec(name: str) -> str:
    if not name or name == "auto":
        return ""
    known = TABLE_0211.get(name.upper())
    if known:
        return known
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""


def _strict(content: bytes, codec: str) -> str | None:
    if not codec:
        return None
    try:
        text = content.decode("utf-8-sig" if codec == "utf-8" else codec)
    except (UnicodeDecodeError, LookupError):
        return None
    if "\0" in text or (codec.startswith("utf-16") and "MSH" not in text[:4]):
        return None  # any even number of bytes is UTF-16
    if codec.startswith("iso8859") and any("\x80" <= c <= "\x9f" for c in text):
        return None  # no text has C1 controls: the bytes are of another charset
    return text


def _remarks(text: str, codec: str, stated: str) -> tuple[Finding, ...]:
    found = []
    if stated and _codec(stated) != codec:
        found.append(
            Finding(
                "charset-disagrees",
                "note",
                f"MSH-18 写的是 {stated}, 报文实际按 {codec} 才能完整解码; 已按 {codec} 读取。请对方把 MSH-18 改成与实际一致",
                source="MSH-18",
            )
        )
    if "\ufffd" in text:
        found.append(
            Finding(
                "replacement-character",
                "note",
                "报文里有替换字符 U+FFFD: 对方系统在发送前已丢失原字符。请对方检查其导出时的字符集",
                source="MSH-18",
            )
        )
    return tuple(found)


def _undecodable(content: bytes, stated: str) -> Finding:
    where = next((i for i, b in enumerate(content) if b == 0 or b > 0x7F), 0)
    return Finding(
        "undecodable",
        "refuse",
        f"报文无法解码: 依次按 UTF-8、MSH-18({stated or '空'})、GB18030 严格解码都失败, 首个非 ASCII 字节在第 {where + 1} 字节。"
        "请对方统一字符集(建议 UTF-8, MSH-18 写 UNICODE UTF-8)后重发; 原文已保留",
        source="MSH-18",
    )
