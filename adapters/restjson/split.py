"""Cuts a JSON body into its records without reading the whole of it: an array, one object, {"records": [...]}, or NDJSON.

RFC 8259 for JSON; NDJSON is one JSON text a line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from gateway.errors import Finding, Refused

__all__ = ["UNREADABLE", "Piece", "fault_at", "pieces", "refusal"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON."""

Piece = tuple[int, bytes]
"""(offset of the piece in the body, its bytes)"""

CHUNK = 1 << 18
RECORD_LIMIT = 16 * 2**20
_BLANK = b" \t\r\n"
_MARK = b"\xef\xbb\xbf"
_INK = re.compile(rb"[^ \t\r\n]")
_TOKEN = re.compile(rb'["\[\]{},\\]')
_QUOTED = re.compile(rb'["\\]')


def pieces(content: bytes | BinaryIO, wrapper: str) -> Iterator[Piece]:
    """The records of a body, in order. `wrapper`: the member of a single object that holds the records, e.g. `records`.

    Raises Refused (`not-json`) where the structure of the body itself is broken; what is wrong inside one record is left to its reader.
    """
    body = _Body(content)
    start = body.first()
    if start == b"[":
        yield from _array(body)
    elif start == b"{":
        yield from _objects(body, wrapper)
    else:
        raise Refused(refusal(b"", body.offset, 0, "正文应以 { 或 [ 开头" if start else "正文为空"))


class _Body:
    """The bytes ahead, read in chunks. at: where in `text` the reading stands; line: its line in the body, from 1."""

    def __init__(self, content: bytes | BinaryIO) -> None:
        self.stream = io.BytesIO(content) if isinstance(content, bytes) else content
        self.text = b""
        self.at = 0
        self.line = 1
        self._behind = 0  # bytes of the body before `text`

    @property
    def offset(self) -> int:
        """Place of the next byte in the body."""
        return self._behind + self.at

    def more(self) -> bool:
        """Reads one more chunk and leaves behind what was passed, so that `at` becomes 0; False, and nothing moves, at the end.
        Raises Refused when one record grows beyond the limit."""
        chunk = self.stream.read(CHUNK)
        if not chunk:
            return False
        if len(self.text) - self.at > RECORD_LIMIT:
            raise Refused(refusal(b"", 0, self.line, f"一条记录超过 {RECORD_LIMIT // 2**20} MB"))
        self._behind += self.at
        self.text = self.text[self.at :] + chunk
        self.at = 0
        return True

    def skip(self, to: int) -> None:
        """Moves on to the index `to` of `text`."""
        self.line += self.text.count(b"\n", self.at, to)
        self.at = to

    def first(self) -> bytes:
        """The next byte that is not blank, which stays ahead; empty at the end. A byte order mark is left behind."""
        while True:
            if self.offset == 0 and self.text.startswith(_MARK):
                self.skip(len(_MARK))
            found = _INK.search(self.text, self.at)
            self.skip(found.start() if found else len(self.text))
            if found or not self.more():
                return found[0] if found else b""


def _array(body: _Body) -> Iterator[Piece]:
    body.first()
    body.skip(body.at + 1)
    closing = body.first() == b"]"
    if closing:
        body.skip(body.at + 1)
    while not closing:
        cut, closing = _element(body)
        yield body.offset, body.text[body.at : cut].strip(_BLANK)
        body.skip(cut + 1)
        body.first()
    if body.first():
        raise Refused(refusal(b"", 0, body.line, "数组之后还有多余内容"))


def _element(body: _Body) -> tuple[int, bool]:
    """Index of the byte after the array element ahead, and whether the array ends there."""
    depth = 0
    at = body.at
    quoted = False
    while True:
        found = (_QUOTED if quoted else _TOKEN).search(body.text, at)
        if found is None or (found[0] == b"\\" and found.end() == len(body.text)):
            at = (found.start() if found else len(body.text)) - body.at
            if not body.more():
                raise Refused(refusal(b"", 0, body.line, "数组没有结束, 正文可能被截断"))
            continue
        token, at = found[0], found.end()
        if token == b"\\":
            at += 1
        elif token == b'"':
            quoted = not quoted
        elif token in b"[{":
            depth += 1
        elif depth == 0 and token != b",":
            return at - 1, True
        elif token in b"]}":
            depth -= 1
        elif depth == 0:
            return at - 1, False


def _objects(body: _Body, wrapper: str) -> Iterator[Piece]:
    """NDJSON when the first line is a whole object; otherwise one object."""
    while b"\n" not in body.text and body.more():
        pass
    end = body.text.find(b"\n", body.at)
    if end >= 0 and _whole(body.text[body.at : end]):
        yield from _lines(body)
        return
    while body.more():
        pass
    yield from _unwrapped(body.text[body.at :].rstrip(_BLANK), body.offset, body.line, wrapper)


def _whole(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True


def _lines(body: _Body) -> Iterator[Piece]:
    while True:
        end = body.text.find(b"\n", body.at)
        if end < 0:
            if body.more():
                continue
            end = len(body.text)
        line = body.text[body.at : end].strip(_BLANK)
        if line:
            yield body.offset, line
        if end == len(body.text):
            return
        body.skip(end + 1)


def _unwrapped(text: bytes, offset: int, line: int, wrapper: str) -> Iterator[Piece]:
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except UNREADABLE as fault:
        raise Refused(refusal(text, fault_at(fault), line, "不是合法的 JSON")) from fault
    inner = bytes(members[wrapper]) if wrapper in members else b""
    if not inner.startswith(b"["):
        yield offset, text
        return
    at = offset + text.find(inner)
    for place, piece in _array(_Body(inner)):
        yield at + place, piece


def fault_at(fault: Exception) -> int:
    """The byte that a decoder's message names; 0 where it names none."""
    found = re.search(r"byte (\d+)", str(fault))
    return int(found[1]) if found else 0


def refusal(text: bytes, at: int, line: int, what: str) -> Finding:
    """A body that is refused: what is wrong, at which line and column (from 1) of the body."""
    before = text[:at]
    row = line + before.count(b"\n")
    column = len(before) - before.rfind(b"\n")
    where = f"第{max(row, 1)}行第{column}列" if text else f"第{max(line, 1)}行附近"
    return Finding("not-json", "refuse", f"{where}: {what}。请检查发送程序, 正文应为一个 JSON 对象、对象的数组或每行一个对象", source=where)
