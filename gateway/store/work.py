"""What is handed to the writer and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.errors import Finding
from gateway.record import MapResult, Record, RecordOutcome

if TYPE_CHECKING:
    from gateway.store.apply import Applier
    from gateway.store.unit import Unit

__all__ = ["Answer", "Change", "Item", "NewMessage", "Work"]


@dataclass(slots=True)
class NewMessage:
    """A message. chunks: its content. stored: its id, once it was stored (`processing`) ahead of its records, else 0: its records then
    finish that row. early: its sender was answered ahead of its records, or will be as soon as it is stored. since: when it was
    accepted (monotonic seconds)."""

    source: str
    name: str
    peer: str
    media_type: str
    charset: str
    digest: str
    size: int
    chunks: Sequence[bytes]
    state: str = ""  # "": follows from the outcomes
    reason: Finding | None = None
    stored: int = 0
    early: bool = False
    since: float = 0.0


@dataclass(slots=True)
class Item:
    """One record with what the map made of it. row: which row of the message. released: a person let it pass in spite of its holds.
    again: written anew by replay or re-map although its content was seen before. parts: single results (`Type/id`) that a person lets pass
    now. anew: the map's result when these results are let pass; given where some are withheld."""

    record: Record
    result: MapResult
    mode: str
    map_version: str
    row: int
    released: bool = False
    again: bool = False
    parts: frozenset[str] = frozenset()
    anew: Callable[[frozenset[str]], MapResult] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that a group writes. before: its version until now, 0 for a new one. how: created | updated | vanished | deleted."""

    type: str
    id: str
    before: int
    how: str


@dataclass(slots=True)
class Answer:
    """What became of one piece of work. state: the message's."""

    message: int
    state: str
    outcomes: list[RecordOutcome]
    changes: list[Change]
    deliveries: int
    value: Any = None


@dataclass(slots=True)
class Work:
    """One thing to do in one transaction: a message with its records, a batch of a stored message's records, or a command.

    message: the new message, or the id of a stored one. state: the state a stored message gets ("" leaves it; "?" is worked out from
    its records). rows: rows of the message done after this. dry: work it out, write nothing. command: runs inside the transaction, which
    is its own unless `joins` says that it may share the group's (what a map may write, it touches through the unit and the applier only).
    store: only put down the new message, as `processing`; its records follow.
    """

    source: str = ""
    custodian: str = ""
    message: NewMessage | int | None = None
    items: list[Item] = field(default_factory=list)
    state: str = ""
    rows: int | None = None
    findings: Sequence[Finding] = ()
    checkpoint: str | None = None
    actor: str = ""
    dry: bool = False
    command: Callable[[Unit, Applier], Any] | None = None
    joins: bool = False
    store: bool = False
    future: Future[Answer] = field(default_factory=Future)

    @property
    def ahead(self) -> NewMessage | None:
        """The message whose sender is answered before its records are written; None when somebody waits for this work."""
        return self.message if isinstance(self.message, NewMessage) and self.message.early else None

    @property
    def alone(self) -> bool:
        """Whether it has a transaction of its own."""
        return self.dry or (self.command is not None and not self.joins)
