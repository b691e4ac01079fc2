"""Work that a caller asked for and fetches later: how it stands, and what came of it, in parts that never stand in memory together.

The process that works at a job holds a lease and renews it; when it ends without a word, the lease runs out and the job is `interrupted`.
A finished job is kept until it expires, or until newer ones of the same caller need its room. Times are µs since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.store.database import Database
from gateway.store.raw import Raw
from gateway.store.settlement import reading, writing

__all__ = ["Bounds", "Job", "add", "begin", "content", "find", "finish", "forget", "renew"]

State = Literal["running", "done", "interrupted"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a caller may have. running: jobs in work at a time. kept: finished ones; the oldest make room. keep: µs for which a job is
    known."""

    running: int
    kept: int
    keep: int


@dataclass(frozen=True, slots=True)
class Job:
    """How a job stands. kind: what works at it. progress: as far as it is known, for people."""

    id: str
    kind: str
    state: State
    progress: str
    begun: int
    done: int | None
    expires: int


def begin(database: Database, job: tuple[str, str], client: str, now: int, lease: int, bounds: Bounds) -> bool:
    """Notes a job (its id and kind) that is in work until `lease`, and drops what is past. False when the caller has as many in work as
    it may."""
    with writing(database) as raw:
        raw.lock(["job:" + client])
        ((running,),) = raw.rows("SELECT count(*) FROM job WHERE client = ? AND state = 'running' AND lease > ?", [client, now])
        if running >= bounds.running:
            return False
        past = raw.rows("SELECT id FROM job WHERE expires <= ?", [now])
        ended = raw.rows("SELECT id FROM job WHERE client = ? AND (state = 'done' OR lease <= ?) ORDER BY begun DESC, id", [client, now])
        _drop(raw, [row[0] for row in (*past, *ended[bounds.kept - 1 :])])
        columns = ("id", "kind", "client", "state", "progress", "begun", "lease", "expires")
        raw.insert("job", columns, [(*job, client, "running", "", now, lease, now + bounds.keep)])
        return True


def renew(database: Database, id_: str, lease: int, progress: str = "") -> bool:
    """Says that the job is still in work, and how far it came; False when nobody wants it any more."""
    with writing(database) as raw:
        return raw.run("UPDATE job SET lease = ?, progress = ? WHERE id = ? AND state = 'running'", [lease, progress, id_]) > 0


def add(database: Database, id_: str, name: str, n: int, content: bytes) -> None:
    """Keeps the n-th piece of an output of a job that is in work; nothing of one that nobody wants any more."""
    with writing(database) as raw:
        if raw.run("UPDATE job SET state = state WHERE id = ? AND state = 'running'", [id_]):  # holds the row: nobody drops it meanwhile
            raw.insert("job_part", ("job", "name", "n", "content"), [(id_, name, n, content)])


def finish(database: Database, id_: str, now: int) -> bool:
    """Ends a job: from now on what it put out can be fetched. False when nobody wants it any more."""
    with writing(database) as raw:
        return raw.run("UPDATE job SET state = 'done', lease = NULL, done = ? WHERE id = ? AND state = 'running'", [now, id_]) > 0


def find(database: Database, id_: str, client: str, now: int) -> Job | None:
    """How a job of this caller stands; None when there is none, of another caller as well."""
    with reading(database) as raw:
        rows = raw.rows("SELECT id, kind, state, progress, begun, done, expires, lease FROM job WHERE id = ? AND client = ?", [id_, client])
    if not rows or rows[0][6] <= now:
        return None
    id_, kind, state, *rest, lease = rows[0]
    return Job(id_, kind, "interrupted" if state == "running" and lease <= now else state, *rest)


def content(database: Database, id_: str, name: str) -> Iterator[bytes]:
    """The pieces of one output of a job, in order."""
    n = 0
    while True:
        with reading(database) as raw:
            rows = raw.rows("SELECT content FROM job_part WHERE job = ? AND name = ? AND n = ?", [id_, name, n])
        if not rows:
            return
        yield bytes(rows[0][0])
        n += 1


def forget(database: Database, id_: str, client: str) -> bool:
    """Drops a job of this caller with everything that came of it; False when there is none."""
    with writing(database) as raw:
        found = [row[0] for row in raw.rows("SELECT id FROM job WHERE id = ? AND client = ?", [id_, client])]
        _drop(raw, found)
        return bool(found)


def _drop(raw: Raw, ids: Iterable[str]) -> None:
    """Drops jobs with their outputs."""
    rows = [(id_,) for id_ in dict.fromkeys(ids)]
    raw.many("DELETE FROM job_part WHERE job = ?", rows)
    raw.many("DELETE FROM job WHERE id = ?", rows)
