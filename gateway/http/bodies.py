"""Request bodies up to a limit; of a larger one the head and the digest are kept, and nothing more is held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

HEAD = 4096
"""Bytes kept of a body above the limit."""
PATIENCE = 8
"""A body above this many times the limit is not read to its end."""


@dataclass(frozen=True, slots=True)
class Oversized:
    """A body above the limit: its first bytes, how many were read, and the SHA-256 of those, hex."""

    head: bytes
    read: int
    digest: str


async def read_body(chunks: AsyncIterator[bytes], limit: int) -> bytes | Oversized:
    """The whole body, or what is kept of one above `limit` bytes."""
    kept = bytearray()
    digest = hashlib.sha256()
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
        if size <= limit:
            kept += chunk
        elif len(kept) > HEAD:
            del kept[HEAD:]
        elif len(kept) < HEAD:
            kept += chunk[: HEAD - len(kept)]
        if size > limit * PATIENCE:
            break
    if size <= limit:
        return bytes(kept)
    return Oversized(bytes(kept[:HEAD]), size, digest.hexdigest())
