"""A watched folder: files are taken when they stopped growing, handed to the intake, and moved to `done` or `refused`.

For adapters whose messages are files (sheet, cda). A file is read again after a crash between commit and move; the intake then answers
with the first outcome, so nothing is lost and nothing is twice. Where the gateway may not move files (a read-only share) the checkpoint
remembers what was taken.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from gateway.adapter import Feed, LocalPath
from gateway.errors import Finding, TransientError
from gateway.record import Incoming, Receipt

__all__ = ["FolderOptions", "Settled", "watch"]

WHOLE = 4 * 2**20
"""Files up to this many bytes travel as bytes, larger ones as a stream."""

_TEMPORARY = ("~$*", ".*", "*.tmp", "*.part", "*.crdownload", "*.filepart")
_BACKOFF_LIMIT = 300.0

Settled = Callable[[Path, Incoming, Receipt], Awaitable[None]]
"""Called after the commit of a file and before it is moved, e.g. to write a result for the sender."""


class FolderOptions(BaseModel):
    """Options of a watched folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: LocalPath = Field(
        description="Folder that is watched; created when it is not there. A relative path is taken from the folder of `yifang.toml`."
    )
    pattern: list[str] = Field(default_factory=lambda: ["*"], description="File names taken, e.g. `*.xlsx`; temporary names never are.")
    poll: float = Field(2.0, gt=0, description="Seconds between looks at the folder.")
    settle: float = Field(1.0, ge=0, description="A file is read when its size and time stood still for this many seconds.")
    done: str = Field("done", description="Sub-folder for files that were taken; empty: files stay where they are, for read-only shares.")
    refused: str = Field("refused", description="Sub-folder for files that were refused as a whole.")
    parallel: int = Field(1, ge=1, le=64, description="Files handed over at the same time.")


@dataclass(frozen=True, slots=True)
class _Mark:
    """What tells one state of a file from another."""

    name: str
    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> _Mark:
        found = path.stat()
        return cls(path.name, found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class _Watch:
    """State of one watched folder. seen: when a file was first found in its present state; taken: files committed and still there,
    with their receipt; stop: the gateway cannot take more now; failures: looks in a row in which something went wrong."""

    options: FolderOptions
    feed: Feed
    prepare: Callable[[Path, Incoming], Incoming]
    settled: Settled | None
    seen: dict[_Mark, float] = field(default_factory=dict)
    taken: dict[_Mark, Receipt | None] = field(default_factory=dict)
    stop: bool = False
    failed: bool = False
    failures: int = 0

    def waiting(self, now: float) -> list[tuple[Path, _Mark]]:
        """Files that stood still long enough, oldest first. `now`: monotonic seconds."""
        present: dict[_Mark, Path] = {}
        for entry in os.scandir(self.options.folder):
            if entry.is_file() and _wanted(entry.name, self.options.pattern):
                with suppress(FileNotFoundError):
                    path = Path(entry.path)
                    present[_Mark.of(path)] = path
        self.seen = {mark: self.seen.get(mark, now) for mark in present}
        self.taken = {mark: receipt for mark, receipt in self.taken.items() if mark in present}
        left = {} if self.options.done else self.taken
        ready = [(path, mark) for mark, path in present.items() if mark not in left and now - self.seen[mark] >= self.options.settle]
        return sorted(ready, key=lambda item: (item[1].time, item[1].name))

    async def take(self, path: Path, mark: _Mark) -> None:
        """Hands one file over and, after the commit, moves it away. A file that cannot be read or moved now is tried again later."""
        try:
            receipt = self.taken.get(mark) or await self._accepted(path, mark)
            await asyncio.to_thread(self._away, path, mark, receipt)
        except FileNotFoundError:
            return
        except TransientError:
            self.stop = self.failed = True
        except OSError as fault:
            self.failed = True
            self.remark(fault)

    async def _accepted(self, path: Path, mark: _Mark) -> Receipt:
        incoming = await asyncio.to_thread(self._open, path, mark)
        receipt = await self.feed.intake.accept(incoming)
        if self.settled is not None:
            await self.settled(path, incoming, receipt)
        self.taken[mark] = receipt
        return receipt

    def _open(self, path: Path, mark: _Mark) -> Incoming:
        def stream() -> BinaryIO:
            return path.open("rb")

        content = path.read_bytes() if mark.size <= WHOLE else stream
        checkpoint = None if self.options.done else _written({*self.taken, mark})
        return self.prepare(path, Incoming(content, name=path.name, checkpoint=checkpoint))

    def _away(self, path: Path, mark: _Mark, receipt: Receipt) -> None:
        if not self.options.done:
            return
        target = self.options.folder / (self.options.refused if receipt.state == "refused" else self.options.done)
        target.mkdir(parents=True, exist_ok=True)
        path.replace(_free(target / path.name))
        self.taken.pop(mark, None)

    def remark(self, fault: OSError) -> None:
        """Tells people that folder or file cannot be read or written."""
        text = f"文件夹 {self.options.folder} 读写失败({fault.strerror or type(fault).__name__})。请检查路径、权限和磁盘空间; 系统会自动重试"
        self.feed.intake.remark(Finding("folder-fault", "note", text))

    def pause(self) -> float:
        """Seconds until the next look; doubles while something fails."""
        self.failures = self.failures + 1 if self.failed else 0
        self.stop = self.failed = False
        return min(self.options.poll * (1 << min(self.failures, 16)), max(_BACKOFF_LIMIT, self.options.poll))


async def watch(
    options: FolderOptions,
    feed: Feed,
    prepare: Callable[[Path, Incoming], Incoming] = lambda _path, incoming: incoming,
    settled: Settled | None = None,
) -> None:
    """Watches the folder until cancelled. `prepare` may set media type and charset of a file's message; `settled` is called after its
    commit. At most `options.parallel` files are in hand at once (back-pressure). Faults are remarked and retried with backoff."""
    state = _Watch(options, feed, prepare, settled)
    if not options.done:
        state.taken = dict.fromkeys(_read(feed.intake.checkpoint()))
    loop = asyncio.get_running_loop()
    told = False
    while True:
        try:
            await asyncio.to_thread(options.folder.mkdir, parents=True, exist_ok=True)
            ready = await asyncio.to_thread(state.waiting, loop.time())
        except OSError as fault:
            state.failed = True
            state.remark(fault)
        else:
            if not told:
                feed.ready(options.folder.resolve().as_uri())
                told = True
            feed.intake.alive()
            await _take_all(state, ready)
        await asyncio.sleep(state.pause())


async def _take_all(state: _Watch, ready: Sequence[tuple[Path, _Mark]]) -> None:
    """Takes the files in order, `parallel` at a time, until the gateway cannot take more."""
    queue = iter(ready)

    async def worker() -> None:
        for path, mark in queue:
            await state.take(path, mark)
            if state.stop:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(state.options.parallel, len(ready))):
            group.create_task(worker())


def _wanted(name: str, patterns: Sequence[str]) -> bool:
    lower = name.lower()
    if any(fnmatch.fnmatchcase(lower, p) for p in _TEMPORARY):
        return False
    return any(fnmatch.fnmatchcase(lower, p.lower()) for p in patterns)


def _free(path: Path) -> Path:
    """The path itself, or `name-2.ext`, `name-3.ext` ... when a file of that name was moved there before."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def _written(marks: set[_Mark]) -> str:
    return json.dumps(sorted([m.name, m.size, m.time] for m in marks), ensure_ascii=False)


def _read(checkpoint: str | None) -> set[_Mark]:
    return {_Mark(str(n), int(s), int(t)) for n, s, t in json.loads(checkpoint)} if checkpoint else set()
