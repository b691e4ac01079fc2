"""Who works on an embedded database: at most one process, and others can find it.

SQLite's own locks protect the file, not the order of a gateway's work (one writer, watermarks, leases). The process that serves takes
an operating-system lock on `yifang.lock` in the data folder and leaves its loopback address and a token in `yifang.server.json` (readable by
its own user only), so that commands run through it. The lock ends with the process, however it ends. PostgreSQL needs none of this.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from gateway.errors import Conflict

LOCK, OUTBOX, NOTE = "yifang.lock", "yifang.outbox.lock", "yifang.server.json"
LOOK = 0.1
"""Seconds between looks whether the former outbox has ended."""


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach the process that serves a data folder."""

    pid: int
    url: str
    token: str


def _try_lock(file: IO[bytes]) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def succeed(data: Path, stopped: Callable[[float], bool]) -> Iterator[bool]:
    """Holds the outbox of the data folder for this process, once the one of a gateway that was killed has ended. stopped: waits so many
    seconds, or until this process is to end; True when it is. Yields False when it came to that before."""
    with (data / OUTBOX).open("ab") as file:
        while not (held := _try_lock(file)) and not stopped(LOOK):
            pass
        yield held


@contextmanager
def occupy(data: Path) -> Iterator[None]:
    """Holds the data folder for this process. Raises Conflict, with the next step, when another process holds it."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK).open("ab") as file:
        if not _try_lock(file):
            raise Conflict(f"数据目录 {data} 正被另一个 yifang 进程使用; 请先停止它, 或让命令经由它执行(`yifang serve` 运行时命令会自动转给它)")
        yield


@contextmanager
def announce(data: Path, url: str) -> Iterator[Server]:
    """Leaves the note that lets commands find this server; only inside `occupy`."""
    server = Server(os.getpid(), url, secrets.token_urlsafe(32))
    note = data / NOTE
    fresh = note.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(server), file)
    fresh.replace(note)
    try:
        yield server
    finally:
        note.unlink(missing_ok=True)


def running(data: Path) -> Server | None:
    """The server that holds the data folder now, None when nobody does (a note left by a crash is not believed)."""
    lock = data / LOCK
    if not lock.exists():
        return None
    with lock.open("ab") as file:
        if _try_lock(file):
            return None
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Server(**json.loads((data / NOTE).read_text("utf-8")))
    return None
