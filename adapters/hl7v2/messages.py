"""Cuts a file, a batch or one frame into HL7 v2 messages, lazily and in bounded memory.

Takes bare messages one after another, batches (FHS/BHS ... BTS/FTS, HL7 v2.5.1 2.10.3) and captures that still carry MLLP framing.
The cut is made on bytes: CR, LF and VT can be no part of a UTF-8 or GB18030 multi-byte character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

_START = re.compile(rb"(?:\A|[\r\n\x0b\x1c])(?:\xef\xbb\xbf)?(?=MSH[^A-Za-z0-9\r\n])")
_ENVELOPE = re.compile(rb"(?:\A|[\r\n\x0b\x1c])(?:\xef\xbb\xbf)?(?:FHS|BHS|BTS|FTS)[^A-Za-z0-9\r\n][^\r\n\x0b\x1c]*")
_TRIM = b"\r\n\x0b\x1c"
_CHUNK = 1 << 18
_KEEP = 8  # bytes at the end of a chunk in which a start may hide


def messages(content: bytes | BinaryIO) -> Iterator[bytes]:
    """The messages in order, without framing, batch envelopes and line ends around them. What is no message but not empty either is
    given too, so that it can be refused instead of lost."""
    alone = isinstance(content, bytes) and content.startswith(b"MSH") and (content.find(b"MSH", 3) < 0 or _START.search(content, 1) is None)
    if isinstance(content, bytes) and alone and b"\rBTS" not in content:
        yield content.strip(_TRIM)
        return
    stream = BytesIO(content) if isinstance(content, bytes) else content
    buffer = bytearray()
    while chunk := stream.read(_CHUNK):
        searched = max(0, len(buffer) - _KEEP)
        buffer += chunk
        yield from _take(buffer, searched)
    yield from _bare(bytes(buffer))


def _take(buffer: bytearray, searched: int) -> Iterator[bytes]:
    begin = 0
    for match in _START.finditer(buffer, max(searched, 1)):
        yield from _bare(bytes(buffer[begin : match.start()]))
        begin = match.start()
    del buffer[:begin]


def _bare(piece: bytes) -> Iterator[bytes]:
    message = _ENVELOPE.sub(b"", piece).strip(_TRIM + b" \t")
    message = message.removeprefix(b"\xef\xbb\xbf")
    if message:
        yield message
