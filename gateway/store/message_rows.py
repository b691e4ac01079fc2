"""Rows of `message` that the writer makes: stored ahead of its records, stored with them, finished after them, counted as a repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway.record import RecordOutcome
from gateway.store.messages import reason_json
from gateway.store.raw import Raw
from gateway.store.unit import Unit
from gateway.store.work import NewMessage, Work

__all__ = ["heard", "known", "message_state", "put_down", "store_ahead"]

_MESSAGE = ("id", "source", "name", "peer", "media_type", "charset", "digest", "size", "received", "state", "rows", "fresh", "repeats", "reason")


def message_state(states: Counter[str]) -> str:
    """State of a message from those of its records: mapped, held, refused (all of them), partly."""
    held, refused = states["held"], states["refused"]
    total = sum(states.values())
    if not held and not refused:
        return "mapped"
    if held == total:
        return "held"
    return "refused" if refused == total else "partly"


def known(raw: Raw, works: Sequence[Work]) -> dict[tuple[str, str], int]:
    """(source, digest) -> id of those new messages of the group that are stored already, byte for byte, from the same source."""
    digests = {w.message.digest for w in works if isinstance(w.message, NewMessage) and w.message.digest and not w.message.stored}
    return {(source, digest): id_ for id_, source, digest in raw.among("SELECT id, source, digest FROM message WHERE digest {}", digests)}


def heard(raw: Raw, now: int, works: Sequence[Work]) -> None:
    """Notes which sources sent something. now: µs since the epoch."""
    names = sorted({w.message.source for w in works if isinstance(w.message, NewMessage) and not w.message.stored})
    raw.upsert("source_status", ("source",), ("last_word", "last_message", "silent_since"), [(s, now, now, None) for s in names])


def store_ahead(raw: Raw, now: int, works: Sequence[Work]) -> list[int]:
    """Stores messages whose records follow, as `processing`; their ids, in order, 0 for one whose bytes are stored already: what
    becomes of a repeat is known only when it was mapped, and its sender waits for that."""
    there = known(raw, works)
    raw.reserve(len(works))
    rows: list[tuple[Any, ...]] = []
    chunks: list[tuple[Any, ...]] = []
    ids: list[int] = []
    for work in works:
        m = work.message
        assert isinstance(m, NewMessage)
        if (m.source, m.digest) in there:
            ids.append(0)
            continue
        id_ = there[m.source, m.digest] = raw.number()
        ids.append(id_)
        rows.append((id_, m.source, m.name, m.peer, m.media_type, m.charset, m.digest, m.size, now, "processing", 0, True, 0, None))
        chunks += [(id_, n, chunk) for n, chunk in enumerate(m.chunks)]
    raw.insert("message", _MESSAGE, rows)
    raw.insert("message_chunk", ("message", "n", "content"), chunks)
    heard(raw, now, works)
    return ids


def put_down(unit: Unit, work: Work, id_: int, outcomes: Sequence[RecordOutcome]) -> tuple[str, int]:
    """Stores or finishes the message of one piece of work; its state and id. id_: the one it gets if it is new."""
    new = work.message
    fresh = all(o.state != "repeat" for o in outcomes)
    if isinstance(new, NewMessage):
        return _finished(unit, new, outcomes, fresh=fresh) if new.stored else _new(unit, work, new, id_, outcomes, fresh=fresh)
    if not id_:
        return "", 0
    state = work.state
    if state == "?":
        counted = unit.raw.rows("SELECT state, count(*) FROM record_version WHERE message = ? GROUP BY state", [id_])
        state = message_state(Counter(dict(counted)) + Counter(o.state for o in outcomes))
    if state or work.rows is not None:
        unit.raw.run(
            "UPDATE message SET state = COALESCE(?, state), rows = COALESCE(?, rows), fresh = fresh AND ? WHERE id = ?",
            [state or None, work.rows, fresh, id_],
        )
    return state, id_


def _new(unit: Unit, work: Work, new: NewMessage, id_: int, outcomes: Sequence[RecordOutcome], *, fresh: bool) -> tuple[str, int]:
    """Stores a new message; one whose bytes are stored already and change nothing is only counted there."""
    state = new.state or message_state(Counter(o.state for o in outcomes))
    there = unit.known_messages.get((new.source, new.digest))
    nothing = all(o.state == "repeat" for o in outcomes) if outcomes else new.state in ("refused", "failed")
    if there is not None and nothing:
        unit.repeated.append((there,))
        unit.repeated_rows = [row for row in unit.repeated_rows if row[0] != id_]
        return ("repeat" if outcomes else state), there
    rows = work.rows if work.rows is not None else len(outcomes)
    reason = reason_json(new.reason)
    unit.messages.append(
        (id_, new.source, new.name, new.peer, new.media_type, new.charset, new.digest, new.size, unit.now, state, rows, fresh, 0, reason)
    )
    unit.chunks += [(id_, n, chunk) for n, chunk in enumerate(new.chunks)]
    if new.digest:
        unit.known_messages[(new.source, new.digest)] = id_
    return state, id_


def _finished(unit: Unit, new: NewMessage, outcomes: Sequence[RecordOutcome], *, fresh: bool) -> tuple[str, int]:
    """Says what became of a message stored ahead. One that another process finished meanwhile (it took it for left by a crash) stays
    as that process saw it."""
    state = new.state or message_state(Counter(o.state for o in outcomes))
    unit.raw.run(
        "UPDATE message SET state = ?, rows = ?, fresh = fresh AND ?, reason = ? WHERE id = ? AND state = 'processing'",
        [state, len(outcomes), fresh, reason_json(new.reason), new.stored],
    )
    return state, new.stored
