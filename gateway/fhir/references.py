"""Literal references: relative, absolute, versioned, contained (https://hl7.org/fhir/R4/references.html#literal)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Target", "parse_reference"]

_RELATIVE = re.compile(
    r"(?:(?P<base>https?://.+)/)?(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a literal reference names. base: server it names, "" for this one. type, id: "" when the text is an opaque URI or a fragment."""

    base: str
    type: str
    id: str
    version: str
    text: str

    @property
    def local(self) -> str:
        """`Type/id`, or "" when the reference does not have that form."""
        return f"{self.type}/{self.id}" if self.type else ""


@lru_cache(maxsize=8192)
def parse_reference(text: str, base: str = "") -> Target:
    """Parts of a reference; an absolute one below `base` (no trailing slash) counts as relative."""
    found = _RELATIVE.fullmatch(text)
    if found is None:
        return Target("", "", "", "", text)
    server = found["base"] or ""
    return Target("" if server == base else server, found["type"], found["id"], found["version"] or "", text)
