"""What the encoders know and fill: slots, the key hash, the draft of a resource's entries."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Any

__all__ = ["Draft", "Keys", "Slot", "Use"]

_DIGEST = struct.Struct(">q")


class Keys:
    """The hash under which values are kept, and what else changes how a value is read. zone: of dates without one. base: this server's
    FHIR base, absolute references below it count as relative."""

    def __init__(self, secret: bytes, zone: tzinfo, base: str) -> None:
        self.zone = zone
        self.base = base.rstrip("/")
        self._seed = hashlib.blake2b(digest_size=8, key=secret)
        self.key: Callable[..., int] = lru_cache(maxsize=1 << 14)(self._key)

    def _key(self, *parts: str) -> int:
        """Even signed 64-bit hash of the parts; the odd ones belong to resources whose main date is long."""
        hasher = self._seed.copy()
        hasher.update("\x1f".join(parts).encode("utf-8", "surrogatepass"))
        return int(_DIGEST.unpack(hasher.digest())[0]) & ~1

    def under(self, *prefix: str) -> Callable[[str], int]:
        """`lambda last: key(*prefix, last)` with the prefix hashed beforehand, for values that hardly ever come twice."""
        begun = self._seed.copy()
        begun.update(("\x1f".join(prefix) + "\x1f").encode("utf-8", "surrogatepass"))
        copy, number = begun.copy, int.from_bytes

        def key(last: str) -> int:
            hasher = copy()
            hasher.update(last.encode("utf-8", "surrogatepass"))
            return number(hasher.digest(), "big", signed=True) & ~1

        return key


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One branch of a search expression. posted: its values drive searches. table: strings stand in a table; numbers
    of identifiers have postings under one key a type. usual: codes that so many have that they have no postings.
    whole: a code with its system has postings of its own, too."""

    name: str
    kind: str
    posted: bool
    table: bool
    systems: Mapping[str, str]  # code -> system that R4 binds it to
    present: int  # key of resources that have a value here
    dates: int  # key of its intervals
    usual: frozenset[str] = frozenset()
    whole: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """An element that fills a slot. type: of its values. main: its dates order the resources of its type. test: which values count."""

    slot: Slot
    type: str
    main: bool
    test: Callable[[Any], bool] | None


class Draft:
    """Entries of one resource while the encoders (gateway/store/index/values.py) fill them; what comes twice counts once at the end.

    keys: packed, each piece one or several. main: (first, last) of the date that orders its type. spans, amounts: (key, first, last).
    """

    __slots__ = ("amounts", "identifiers", "keys", "main", "posted", "spans", "strings", "texts")

    def __init__(self) -> None:
        self.posted: list[int] = []
        self.keys: list[bytes] = []
        self.main: list[tuple[int, int]] = []
        self.spans: list[tuple[int, int, int]] = []
        self.amounts: list[tuple[int, int, int]] = []
        self.texts: list[tuple[int, str]] = []
        self.strings: dict[tuple[int, str], None] = {}
        self.identifiers: dict[tuple[int, str, str], None] = {}

    @property
    def more(self) -> bool:
        """Whether there is anything beside keys."""
        return bool(self.main or self.spans or self.amounts or self.texts or self.strings or self.identifiers)

    def add(self, part: Draft) -> None:
        """Takes over what a part of the resource gave beside keys."""
        self.main += part.main
        self.spans += part.spans
        self.amounts += part.amounts
        self.texts += part.texts
        self.strings |= part.strings
        self.identifiers |= part.identifiers
