"""What the writer holds in memory while it works on one group: records, contributions, resources as they will stand at the commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.fhir.json import decode, encode

__all__ = ["Body", "ContributionState", "RecordState", "ResourceState", "Version", "content_of", "suffix_of"]

Body = dict[str, Any]
_APART = frozenset({"meta", "resourceType", "id"})
"""What the gateway writes at the head of a resource itself."""


@dataclass(slots=True)
class Version:
    """One version of a record, as far as a repeat or a correction needs it."""

    id: int
    number: int
    message: int
    stamp: str
    digest: str
    rank: str
    state: str
    map_version: str
    seq: int
    row: int


@dataclass(slots=True)
class RecordState:
    """One record identity. rank: order of its current version, "" while there is none."""

    id: int
    authority: str
    dataset: str
    key: str
    current: int | None = None
    rank: str = ""
    versions: int = 0
    person: int | None = None
    fresh: bool = True  # not in the database yet
    dirty: bool = False
    known: list[Version] = field(default_factory=list)
    contributions: dict[tuple[int, int, str], ContributionState] = field(default_factory=dict)  # by (resource, person, part)

    def version(self, stamp: str, digest: str) -> Version | None:
        """The version with this stamp and content; for a source without stamps only the current one counts."""
        for v in self.known:
            if v.digest == digest and v.stamp == stamp and (stamp or v.id == self.current or (v.state == "held" and v is self.known[-1])):
                return v
        return None


@dataclass(slots=True)
class ContributionState:
    """One row of `contribution`. content None: the resource's own content. covered: a newer one says the same (gateway/store/cover.py);
    was: what the database has of that."""

    resource: int
    record: int
    person: int
    part: str
    rank: str
    compose: str
    by: str
    present: bool
    content: bytes | None
    patients: tuple[tuple[str, int], ...]
    cleared: tuple[str, ...]
    authority: str
    key: str
    fresh: bool = True
    dirty: bool = False
    body: Body | None = None
    covered: bool = False
    was: bool = False


@dataclass(slots=True)
class ResourceState:
    """One current resource. version 0: not written yet. past: versions superseded inside this group. whole: its covered contributions
    are here too, or it is new."""

    rid: int
    type: str
    id: str
    version: int = 0
    seq: int = 0
    time: int = 0
    deleted: bool = False
    resident: int | None = None
    custodian: str = ""
    record: int | None = None
    content: bytes = b""
    stored: int = 0  # version that the database has, 0: none
    head: int = 0  # length of content before what is compared
    body: Body | None = None  # of the newest version, when this group wrote it
    whole: bool = True
    past: list[tuple[Any, ...]] = field(default_factory=list)
    contributions: dict[tuple[int, int, str], ContributionState] = field(default_factory=dict)  # by (record, person, part)

    def plain(self) -> Body:
        """The current content without resourceType, id, meta.versionId and meta.lastUpdated."""
        body: Body = decode(self.content)
        del body["resourceType"], body["id"]
        meta = {k: v for k, v in body.pop("meta").items() if k not in ("versionId", "lastUpdated")}
        return {"meta": meta, **body} if meta else body


def suffix_of(body: Body) -> bytes:
    """JSON of a body as it follows `…"lastUpdated":"…"` inside meta: the part of a resource's bytes that does not change with its version."""
    inner = b""
    if _APART.isdisjoint(body):
        rest = encode(body)
    else:
        own = dict(body)
        meta = own.pop("meta", None)
        own.pop("resourceType", None)
        own.pop("id", None)
        rest = encode(own)
        if meta:
            inner = b"," + encode(meta)[1:-1]
    return inner + (b"}," + rest[1:] if len(rest) > 2 else b"}}")


def content_of(type_: str, id_: str, version: int, instant: str, suffix: bytes) -> tuple[bytes, int]:
    """A resource's JSON bytes, and how many of them stand before the suffix."""
    head = f'{{"resourceType":"{type_}","id":"{id_}","meta":{{"versionId":"{version}","lastUpdated":"{instant}"'.encode()
    return head + suffix, len(head)


def head_length(content: bytes) -> int:
    """Where the suffix of stored content begins: after lastUpdated, which the gateway itself always writes third."""
    mark = content.index(b'"lastUpdated":"') + 15
    return content.index(b'"', mark) + 1
