"""Logical ids and business identifiers of resources (design/records.md, "Identity").

An id is a letter + base32 of HMAC-SHA-256 cut to 128 bits over (type, namespace, parts): it reveals no ID-card number, and HAPI accepts
it because it is not all digits. The deployment key is kept in the database; `TEST_KEY` serves `map run` and golden files.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence

TEST_KEY = b"yifang-golden-files-and-map-run!"
_PAD = bytes(range(256))
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [a + b for a in _LETTERS for b in _LETTERS]
_PARTS = struct.Struct(">IBIBIBB16x").unpack  # 32 and 8 bits are four pairs of letters


class IdScheme:
    """Derives ids and identifiers under one deployment key and base URL (no trailing slash)."""

    __slots__ = ("_inner", "_outer", "base", "key")

    def __init__(self, key: bytes, base: str) -> None:
        self.key = key
        self.base = base.rstrip("/")
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner = hashlib.sha256(block.translate(bytes(x ^ 0x36 for x in _PAD)))
        self._outer = hashlib.sha256(block.translate(bytes(x ^ 0x5C for x in _PAD)))

    def derive(self, type_: str, namespace: str, parts: Sequence[str]) -> str:
        """The id of the resource with this business key, 27 characters `[a-z2-7]`."""
        inner = self._inner.copy()
        inner.update("\x1f".join((type_, namespace, *parts)).encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return _letters(outer.digest())

    def identify(self, type_: str, namespace: str) -> Callable[[Sequence[str]], tuple[str, str]]:
        """A function from the parts to (`derive`, `value`) of one kind of resource, with what never changes hashed beforehand."""
        begun, outer = self._inner.copy(), self._outer
        begun.update(f"{type_}\x1f{namespace}\x1f".encode())

        def identified(parts: Sequence[str]) -> tuple[str, str]:
            joined = "\x1f".join(parts)
            inner, hashed = begun.copy(), outer.copy()
            inner.update(joined.encode())
            hashed.update(inner.digest())
            value = joined.replace("\x1f", "/") if "%" not in joined and "/" not in joined else self.value(parts)
            return _letters(hashed.digest()), value

        return identified

    def system(self, namespace: str) -> str:
        """Identifier system of a key namespace."""
        return f"{self.base}/ids/{namespace}"

    @staticmethod
    def value(parts: Sequence[str]) -> str:
        """The business number in clear; injective over the parts."""
        joined = "\x1f".join(parts)
        if "%" not in joined and "/" not in joined:
            return joined.replace("\x1f", "/")
        return "/".join(p.replace("%", "%25").replace("/", "%2F") for p in parts)


def _letters(digest: bytes) -> str:
    """`y` and the 26 base32 letters of the first 128 bits, two letters (ten bits) at a time."""
    a, b, c, d, e, f, g = _PARTS(digest)
    two = _PAIRS
    return (
        f"y{two[a >> 22]}{two[a >> 12 & 1023]}{two[a >> 2 & 1023]}{two[(a & 3) << 8 | b]}"
        f"{two[c >> 22]}{two[c >> 12 & 1023]}{two[c >> 2 & 1023]}{two[(c & 3) << 8 | d]}"
        f"{two[e >> 22]}{two[e >> 12 & 1023]}{two[e >> 2 & 1023]}{two[(e & 3) << 8 | f]}{two[g << 2]}"
    )
