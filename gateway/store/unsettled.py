"""What a destination has not got as it should: versions that it refused, and resources that wait for a target of theirs to arrive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from gateway.store.names import Name, rows_of
from gateway.store.raw import Raw

__all__ = ["Refusal", "Waiting", "any_faults", "clear_faults", "clear_refused", "faults", "refuse", "settled", "wait", "waiting_for", "waits"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version of ours that did not go through. kind: `refused` (the server's 400/422) or `conflict` (someone else wrote there).
    text: the server's words, or ours for a person; never logged."""

    version: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Targets that a resource waits for. sent: it went up, with identifiers in place of those references; else it did not go up."""

    targets: frozenset[Name]
    sent: bool


_WAIT = "SELECT w.type, w.id, w.target_type, w.target_id FROM {} n CROSS JOIN delivery_wait w WHERE w.destination = ? AND {}"


def any_faults(raw: Raw, destination: str) -> bool:
    """Whether anything is refused at all."""
    return bool(raw.rows("SELECT 1 FROM delivery_fault WHERE destination = ? LIMIT 1", (destination,)))


def faults(raw: Raw, destination: str, names: Collection[Name]) -> dict[Name, int]:
    """Name -> our version that the server refused, for those of the names that have one."""
    if not names or not any_faults(raw, destination):
        return {}
    query = "SELECT f.type, f.id, f.version FROM {} n CROSS JOIN delivery_fault f WHERE f.destination = ? AND f.type = n.type AND f.id = n.id"
    return {(r[0], r[1]): r[2] for r in rows_of(raw, query, names, destination)}


def refuse(raw: Raw, destination: str, refused: Mapping[Name, Refusal], now: int) -> None:
    """Keeps refused versions; each replaces an older fault of its resource. now: µs since the epoch."""
    rows = [(destination, *name, r.version, r.kind, r.text, now) for name, r in sorted(refused.items())]
    raw.upsert("delivery_fault", ("destination", "type", "id"), ("version", "kind", "error", "time"), rows)


def clear_faults(raw: Raw, destination: str, names: Collection[Name]) -> None:
    """Forgets the faults of these resources."""
    found = faults(raw, destination, names)
    raw.many("DELETE FROM delivery_fault WHERE destination = ? AND type = ? AND id = ?", [(destination, *name) for name in sorted(found)])


def clear_refused(raw: Raw, destination: str) -> list[Name]:
    """Forgets everything that the server refused, and says what it was. What someone else wrote there stays a conflict."""
    query = "DELETE FROM delivery_fault WHERE destination = ? AND kind = 'refused' RETURNING type, id"
    return sorted((r[0], r[1]) for r in raw.rows(query, (destination,)))


def wait(raw: Raw, destination: str, waiting: Mapping[Name, Waiting]) -> None:
    """Notes what waits; what these resources waited for before must be forgotten already (`settled`)."""
    rows = sorted((destination, *target, *name, w.sent) for name, w in waiting.items() for target in w.targets)
    raw.insert("delivery_wait", ("destination", "target_type", "target_id", "type", "id", "sent"), rows)


def settled(raw: Raw, destination: str, items: Iterable[Name]) -> None:
    """These wait for nothing any more."""
    rows = [(destination, *target, *name) for name, targets in sorted(waits(raw, destination, items).items()) for target in sorted(targets)]
    raw.many("DELETE FROM delivery_wait WHERE destination = ? AND target_type = ? AND target_id = ? AND type = ? AND id = ?", rows)


def waits(raw: Raw, destination: str, items: Iterable[Name]) -> dict[Name, set[Name]]:
    """Item -> targets it waits for, for those of the items that wait."""
    found: dict[Name, set[Name]] = {}
    for type_, id_, target_type, target_id in rows_of(raw, _WAIT.format("{}", "w.type = n.type AND w.id = n.id"), items, destination):
        found.setdefault((type_, id_), set()).add((target_type, target_id))
    return found


def waiting_for(raw: Raw, destination: str, targets: Iterable[Name]) -> dict[Name, set[Name]]:
    """Target -> items that wait for it, for those of the targets that something waits for."""
    found: dict[Name, set[Name]] = {}
    which = "w.target_type = n.type AND w.target_id = n.id"
    for type_, id_, target_type, target_id in rows_of(raw, _WAIT.format("{}", which), targets, destination):
        found.setdefault((target_type, target_id), set()).add((type_, id_))
    return found
