"""How far a source was read: for each profile the newest stamp delivered and the states of the rows near it.

It travels as the checkpoint of each batch and is durable in the batch's own commit.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapters.sqlview.stamp import Stamp, earlier, from_json, to_json

__all__ = ["Key", "Position", "Seen", "dump", "load"]

REMEMBERED = 50_000
"""Rows remembered a profile; beyond it old ones are forgotten, which costs repeats and loses nothing."""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A row as it was delivered: its stamp (None in views without) and the digest of its content."""

    stamp: Stamp | None
    digest: str


@dataclass(frozen=True, slots=True)
class Position:
    """stamp: the newest delivered; seen: rows whose stamp is near it, by key."""

    stamp: Stamp | None = None
    seen: Mapping[Key, Seen] = field(default_factory=dict)

    def advanced(self, rows: Mapping[Key, Seen], horizon: float, gone: Iterable[Key] = ()) -> Position:
        """The position after some rows were delivered; rows stamped more than `horizon` seconds before the newest are forgotten."""
        stamps = [row.stamp for row in rows.values() if row.stamp is not None]
        newest = _newest([*stamps, *([self.stamp] if self.stamp is not None else [])])
        seen = {**self.seen, **rows}
        for key in gone:
            seen.pop(key, None)
        if newest is not None:
            edge = earlier(newest, horizon)
            seen = {key: row for key, row in seen.items() if row.stamp is None or not _before(row.stamp, edge)}
        if len(seen) > REMEMBERED:
            order = sorted(seen, key=lambda key: str(seen[key].stamp), reverse=True)
            seen = {key: seen[key] for key in order[:REMEMBERED]}
        return Position(newest, seen)


def _before(a: Stamp, b: Stamp) -> bool:
    """Whether a sorts before b; stamps of different types, after a change of the view, are compared as text."""
    try:
        return a < b  # type: ignore[operator]  # of one view's column, so of one type
    except TypeError:
        return str(a) < str(b)


def _newest(stamps: list[Stamp]) -> Stamp | None:
    newest: Stamp | None = None
    for stamp in stamps:
        if newest is None or _before(newest, stamp):
            newest = stamp
    return newest


def dump(positions: Mapping[str, Position]) -> str:
    """Text of all profiles' positions: base64 of compressed JSON."""
    plain = {
        name: {
            "stamp": None if p.stamp is None else to_json(p.stamp),
            "seen": [[list(key), None if row.stamp is None else to_json(row.stamp), row.digest] for key, row in p.seen.items()],
        }
        for name, p in positions.items()
    }
    return base64.b64encode(zlib.compress(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode(), 6)).decode("ascii")


def load(checkpoint: str | None) -> dict[str, Position]:
    """Reads what `dump` wrote; empty when there is none."""
    if not checkpoint:
        return {}
    plain = json.loads(zlib.decompress(base64.b64decode(checkpoint)))
    return {
        name: Position(
            None if p["stamp"] is None else from_json(p["stamp"]),
            {tuple(key): Seen(None if stamp is None else from_json(stamp), digest) for key, stamp, digest in p["seen"]},
        )
        for name, p in plain.items()
    }
