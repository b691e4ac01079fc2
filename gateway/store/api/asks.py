"""What a client asks to be written, and what became of it: values, so that an expected fault undoes nothing of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Ask", "Denied", "Origin", "Why", "Wrote"]

Body = dict[str, Any]
Why = Literal["version", "exists", "many", "unmatched", "unknown", "gone", "replaced", "spoken-for", "dangling", "twice", "id-differs", "key-reused"]
"""version: If-Match names another version · exists: If-None-Match: * and it is there · many: the criteria match several · unmatched: they
match none · unknown: never was · gone: deleted · replaced: a Patient that was linked to another · spoken-for: a Patient that records speak
of cannot be deleted · dangling: a reference that does not resolve, where the site refuses those · twice: one resource asked for twice in a
transaction · id-differs: the body's id is not that of the match · key-reused: an Idempotency-Key that came with another request."""


@dataclass(slots=True)
class Ask:
    """One interaction that writes. body: decoded JSON without meta.versionId and meta.lastUpdated, None for a delete. expect: version
    that must be current. absent: it must not exist yet. minted: the id was allotted just now, so nothing can stand there.
    criteria: of a conditional interaction, the search (`identifier=a|b`); then `id` is what a create would get.
    settled: it needs no writing, this is the answer. place: position in a Bundle from 1, 0 when there is none."""

    kind: Literal["create", "update", "delete"]
    type: str
    id: str
    body: Body | None = None
    expect: int | None = None
    absent: bool = False
    minted: bool = False
    criteria: str = ""
    settled: Wrote | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Wrote:
    """How a resource stands after an ask. time: µs since the epoch. how: created | updated | unchanged | deleted | absent (a delete
    found nothing to delete) | found (a conditional create found it)."""

    type: str
    id: str
    version: int
    time: int
    how: str
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Denied:
    """Why nothing was written. version: the current one, 0 when there is none. place: of the ask in its Bundle."""

    why: Why
    type: str
    id: str = ""
    version: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the asks come from: kept as the message. organisation: whose word the caller's is; custodian of what it creates.
    content: the request's body as it arrived, empty for a delete."""

    client: str
    organisation: str
    name: str
    peer: str = ""
    media_type: str = ""
    content: bytes = b""
    digest: str = ""
    chunk: int = field(default=1 << 20)

    @property
    def source(self) -> str:
        """Source of the message; no configured source can have this name."""
        return f"api:{self.client}"

    @property
    def custodian(self) -> str:
        """The organisation, or the client where none is configured."""
        return self.organisation or self.client
