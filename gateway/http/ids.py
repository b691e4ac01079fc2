"""Ids that the API allots: `a` and 26 letters or digits, the first of them from the clock, so that new rows lie together in their index."""

from __future__ import annotations

import secrets
import time

__all__ = ["allot", "allotted"]

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def allot() -> str:
    """A new id: 48 bits of milliseconds, 82 random bits (letters of Crockford's base 32, in order)."""
    number = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 82 | secrets.randbits(82)
    return "a" + "".join([_DIGITS[number >> shift & 31] for shift in range(125, -1, -5)])


def allotted(id_: str) -> bool:
    """Whether the id looks like one of these: then its resource was created by POST."""
    return len(id_) == 27 and id_[0] == "a"
