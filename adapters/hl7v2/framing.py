"""MLLP framing: cuts a byte stream into frames `<VT> message <FS><CR>`, however the reads fall.

HL7 Implementation Support Guide, Appendix C (Minimal Lower Layer Protocol). A frame ends at FS; the CR after it belongs to the gap
between frames, so senders that forget it, or send LF, are understood. FS and VT can be no part of UTF-8 or GB18030 multi-byte characters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

VT, FS, CR = b"\x0b", b"\x1c", b"\x0d"
HEAD = 4096
"""Bytes that are kept of what cannot be kept whole."""
RESTART = VT + b"MSH"


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message, without the framing bytes."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that are no message: what is kept of them. digest: sha-256 (hex) of all `size` bytes; head: the first of them."""

    reason: Literal["too-large", "half", "noise"]
    head: bytes
    digest: str
    size: int


def envelope(content: bytes) -> bytes:
    """The message between framing bytes, as it goes over the wire."""
    return VT + content + FS + CR


class Deframer:
    """Takes bytes as they are read and gives frames in order; never holds more than one frame of `max_frame` bytes."""

    def __init__(self, max_frame: int) -> None:
        self._max = max_frame
        self._buffer = bytearray()
        self._inside = False
        self._seen = 0  # offset in the buffer before which no FS is
        self._spill: _Spill | None = None

    def feed(self, data: bytes) -> Iterator[Frame | Broken]:
        """Frames and broken pieces that these bytes complete."""
        self._buffer += data
        while self._buffer:
            if not self._inside:
                yield from self._gap()
                if not self._inside:
                    return
            end = self._buffer.find(FS, self._seen)
            if end < 0:
                yield from self._overflow()
                return
            piece = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._inside, self._seen = False, 0
            yield from self._close(piece)

    def finish(self) -> Broken | None:
        """What is left when the sender has gone: half a frame, or nothing."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        if self._spill is not None:
            return self._spill.take(rest).broken("half" if self._inside else "noise")
        if not self._inside and not rest.strip():
            return None
        self._inside = False
        return _Spill().take(rest).broken("half")

    def _gap(self) -> Iterator[Frame | Broken]:
        start = self._buffer.find(VT)
        between = bytes(self._buffer if start < 0 else self._buffer[:start])
        del self._buffer[: len(between) + (start >= 0)]
        if self._spill is not None or between.strip(b"\r\n\x00 \t"):
            self._spill = (self._spill or _Spill()).take(between)
        if start >= 0:
            if self._spill is not None:
                yield self._spill.broken("noise")
                self._spill = None
            self._inside = True

    def _overflow(self) -> Iterator[Frame | Broken]:
        self._seen = len(self._buffer)
        if self._spill is None and len(self._buffer) > self._max:
            restart = self._buffer.rfind(RESTART)
            if restart > 0:
                yield _Spill().take(bytes(self._buffer[:restart])).broken("half")
                del self._buffer[: restart + 1]
                self._seen = len(self._buffer)
        if self._spill is not None or len(self._buffer) > self._max:
            self._spill = (self._spill or _Spill()).take(bytes(self._buffer))
            self._buffer.clear()
            self._seen = 0

    def _close(self, piece: bytes) -> Iterator[Frame | Broken]:
        if self._spill is not None or len(piece) > self._max:
            yield (self._spill or _Spill()).take(piece).broken("too-large")
            self._spill = None
            return
        restart = piece.rfind(RESTART)  # the sender gave up in the middle and began anew on the same connection
        if restart >= 0:
            yield _Spill().take(piece[:restart]).broken("half")
            piece = piece[restart + 1 :]
        yield Frame(piece)


class _Spill:
    """Digest, size and head of bytes that are not kept."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._head = b""
        self._size = 0

    def take(self, data: bytes) -> _Spill:
        self._hash.update(data)
        self._size += len(data)
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        return self

    def broken(self, reason: Literal["too-large", "half", "noise"]) -> Broken:
        return Broken(reason, self._head, self._hash.hexdigest(), self._size)
