"""Intervals as the index keeps them: whole numbers of 64 bits that sort as what they stand for."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import SupportsFloat

__all__ = ["HIGHEST", "LOWEST", "implied", "pack", "packed", "sortable", "unpack"]

LOWEST, HIGHEST = -(2**63), 2**63 - 1
_DOUBLE = struct.Struct(">d")
_WHOLE = struct.Struct(">q")
_SPAN = struct.Struct("<qqq")
BIG = sys.byteorder == "big"


def sortable(number: SupportsFloat) -> int:
    """64-bit integer that sorts as the number does (order of IEEE doubles)."""
    (bits,) = _WHOLE.unpack(_DOUBLE.pack(float(number)))
    return int(bits) if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def implied(number: Decimal) -> tuple[Decimal, Decimal]:
    """The range that a search number stands for by its digits: 5.40 is [5.395, 5.405), 1e2 is [50, 150).

    https://hl7.org/fhir/R4/search.html#number
    """
    exponent = number.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    return number - half, number + half


def packed(numbers: Sequence[int]) -> bytes:
    """Whole numbers of 64 bits, little-endian, eight bytes each."""
    if not numbers:
        return b""
    held = array("q", numbers)
    if BIG:
        held.byteswap()
    return held.tobytes()


def pack(spans: Iterable[tuple[int, int, int]]) -> bytes:
    """(key, first, last) 24 bytes each."""
    return packed([number for span in spans for number in span])


def unpack(blob: bytes) -> Iterator[tuple[int, int, int]]:
    """(key, first, last) of a packed blob."""
    return _SPAN.iter_unpack(blob)
