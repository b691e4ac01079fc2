"""Text as strings are compared: case, width, accents, traditional and simplified characters (https://hl7.org/fhir/R4/search.html#string)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["normalised", "plain"]

IDEOGRAPHS = ((0x3400, 0x9FFF), (0x20000, 0x323AF))
"""Blocks of Han characters in Unicode, extensions A to H."""


@lru_cache(maxsize=8192)
def normalised(text: str) -> str:
    """Text as it is compared: width and case folded, accents off, blanks joined, traditional characters as their simplified ones."""
    folded = plain(text)
    return folded if folded.isascii() else folded.translate(_simplified())


def plain(text: str) -> str:
    """The same with Han characters as they were written."""
    wide = unicodedata.normalize("NFKC", text).casefold()
    if not wide.isascii():
        wide = "".join(c for c in unicodedata.normalize("NFD", wide) if not unicodedata.combining(c))
    return " ".join(wide.split())


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """The simplified form of every traditional character, each by itself: what is stored and what is asked are folded alike, so that the
    words in which a character keeps its form do not matter."""
    from opencc import OpenCC  # its dictionaries take a moment to load, and plain ASCII needs none of them

    written = [chr(point) for first, last in IDEOGRAPHS for point in range(first, last + 1)]
    simple = OpenCC("t2s").convert("\n".join(written)).split("\n")
    return {ord(one): other for one, other in zip(written, simple, strict=True) if one != other}
