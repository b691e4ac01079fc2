"""Gives numbers to what a Subscription is to be told: along the timeline, in commit order, only below the oldest open writer transaction.

Every Subscription has its own place in the timeline (gateway/store/subscriptions.py), so that one that was not served for a month goes on
where it stopped. Those that stand at the same place, which is where nearly all of them are, look through it together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.json import decode
from gateway.notify.wish import Wish
from gateway.store import subscriptions
from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.events import Event, feed
from gateway.store.scope import Scope
from gateway.store.settlement import writing
from gateway.store.subscriptions import Noted, Standing

__all__ = ["number"]

PAGE = 200
"""Events of the timeline that are looked through at once."""
BODIES = 400
"""Resources whose contents are in memory at once, about."""
Version = tuple[str, str, int]
Wishes = Callable[[Standing], Wish | None]


def number(database: Database, wishes: Wishes) -> bool:
    """Looks through the next page of the timeline for every active Subscription; True when some has more to look through.
    wishes: what a Subscription asks for; None where that cannot be served: it stays where it is."""
    groups: dict[tuple[int, str], list[tuple[Standing, Wish]]] = {}
    for standing in subscriptions.standings(database, "active"):
        wish = wishes(standing)
        if wish is not None:
            groups.setdefault((standing.cursor, standing.caller), []).append((standing, wish))
    more = False
    for (cursor, caller), group in sorted(groups.items(), key=lambda item: item[0]):
        with database.engine.connect() as connection:
            page = feed(connection, cursor, PAGE)
        if not page:
            continue
        more |= len(page) == PAGE
        noted = _noted(database, Scope.all(caller), group, page)
        with writing(database) as raw:
            for standing, _ in group:
                subscriptions.advance(raw, standing, page[-1].seq, noted[standing.id])
    return more


def _noted(database: Database, scope: Scope, group: Sequence[tuple[Standing, Wish]], page: Sequence[Event]) -> dict[str, list[Noted]]:
    """What each Subscription of a group is to be told of a page."""
    found: dict[str, list[Noted]] = {standing.id: [] for standing, _ in group}
    types = frozenset[str]().union(*(wish.topic.types for _, wish in group))
    for events in _parts(page, types):
        bodies = _Bodies(database, scope, {v for _, versions in events for v in versions})
        for event, versions in events:
            for version in versions:
                change = bodies.change(version)
                if change is None:
                    continue
                for standing, wish in group:
                    if _concerns(wish, change):
                        own = found[standing.id]
                        own.append(Noted(standing.number + len(own) + 1, event.seq, micro(event.time), *version, change.how))
    return found


def _parts(page: Sequence[Event], types: frozenset[str]) -> Iterator[list[tuple[Event, list[Version]]]]:
    """The page in parts that hold about so many resources, with the versions of these types that each event wrote."""
    part: list[tuple[Event, list[Version]]] = []
    held = 0
    for event in page:
        versions = list(dict.fromkeys(r for r in event.resources if r[0] in types))
        if held and held + len(versions) > BODIES:
            yield part
            part, held = [], 0
        if versions:
            part.append((event, versions))
            held += len(versions)
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class _Change:
    """One version of a resource, and the one before."""

    type: str
    how: str
    now: Mapping[str, Any] | None
    before: Mapping[str, Any] | None


class _Bodies:
    """Contents of versions and of those before them, decoded once."""

    def __init__(self, database: Database, scope: Scope, versions: set[Version]) -> None:
        wanted = versions | {(t, i, n - 1) for t, i, n in versions if n > 1}
        self._contents = subscriptions.contents(database, wanted, scope)
        self._decoded: dict[Version, Mapping[str, Any] | None] = {}

    def change(self, version: Version) -> _Change | None:
        """What happened to the resource; None when the scope cannot see it."""
        if version not in self._contents:
            return None
        type_, id_, n = version
        now, before = self._body(version), self._body((type_, id_, n - 1))
        return _Change(type_, "delete" if now is None else "create" if before is None else "update", now, before)

    def _body(self, version: Version) -> Mapping[str, Any] | None:
        if version not in self._decoded:
            content = self._contents.get(version)
            self._decoded[version] = decode(content) if content is not None else None
        return self._decoded[version]


def _concerns(wish: Wish, change: _Change) -> bool:
    """Whether a Subscription is to be told of this change."""
    triggers = wish.triggers(change.type)
    if not any(t.happens(change.how, change.now, change.before) for t in triggers):
        return False
    return wish.passes(change.type, change.now, change.before)
