"""The county's small senders: each parcel over the protocol of its feed, until somebody answers for it.

MLLP over sockets (a few connections a feed, each in order), HTTP POST, files written beside and renamed into the watched folder, rows committed to
the front-end database in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import sqlalchemy as sa

from gateway.demo.broken import HALF
from gateway.demo.containers import fill_views
from gateway.demo.feeds import FEEDS, POLL
from gateway.demo.parcel import Parcel, Rows
from gateway.errors import TransientError

__all__ = ["send"]

T = TypeVar("T")
Done = Callable[[Parcel, str], None]
PATIENCE = 600.0
"""Seconds that a sender waits for one answer, or for a folder to be emptied."""
TRIES = 8
CONNECTIONS = 3
"""MLLP connections of one feed: messages go over them in turn, each connection waits for its answers."""
LOOKS = 3
"""Looks that a gateway has at a front-end database before a row comes that is older than what it then has read."""
IN_FOLDER = 40
"""Files that a feed leaves in its folder before it waits for them to be taken."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """threads: of the senders' own, one a feed: those of the event loop belong to the gateway, which must not wait for its senders;
    done: is told of each parcel that was answered; closed: nobody waits any more."""

    threads: ThreadPoolExecutor
    done: Done
    closed: threading.Event = field(default_factory=threading.Event)

    async def aside(self, work: Callable[..., T], *arguments: object) -> T:
        """Runs blocking work in a thread of the senders."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)


async def send(parcels: Iterable[Parcel], places: Mapping[str, str], root: Path, done: Done) -> None:
    """Sends everything and returns when all of it was answered, taken from its folder, or committed; feeds run side by side, each in its
    own order. places: where each feed listens; root: what `sources(root)` was given; done(parcel, answer) is called for each.
    Raises TransientError when an answer does not come, or is no acceptance of a sound parcel."""
    by_feed: dict[str, list[Parcel]] = {}
    for parcel in parcels:
        by_feed.setdefault(parcel.source, []).append(parcel)
    with ThreadPoolExecutor(max(1, len(by_feed)), "sender") as threads:
        desk = _Desk(threads, done)
        try:
            await _side_by_side(by_feed, places, root, desk)
        finally:
            desk.closed.set()


async def _side_by_side(by_feed: Mapping[str, Sequence[Parcel]], places: Mapping[str, str], root: Path, desk: _Desk) -> None:
    async with asyncio.TaskGroup() as group:
        for name, mine in by_feed.items():
            feed = FEEDS[name]
            match feed.adapter:
                case "hl7v2":
                    for n in range(CONNECTIONS):
                        group.create_task(_wire(mine[n::CONNECTIONS], places[name], desk))
                case "restjson":
                    group.create_task(_posts(mine, _address(places, name), desk))
                case "sqlview":
                    group.create_task(_commits(mine, root / feed.place, desk))
                case _:
                    group.create_task(_drops(mine, root / feed.place, desk))


def _address(places: Mapping[str, str], name: str) -> str:
    """Where a passive feed is posted to; it may be told without the server's address."""
    place = places.get(name, f"/ingest/{name}")
    return place if place.startswith("http") and urlsplit(place).netloc else f"{places['http']}/ingest/{name}"


async def _wire(parcels: Sequence[Parcel], place: str, desk: _Desk) -> None:
    """One MLLP connection; a frame that has no end is sent on a connection of its own, which is then dropped."""
    address = urlsplit(place)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        for parcel in parcels:
            assert isinstance(parcel.content, bytes)
            if parcel.content.startswith(HALF):
                await _half(address.hostname, address.port, parcel.content)
                desk.done(parcel, "")
                continue
            answer = await _exchange(reader, writer, parcel.content)
            if answer != "AA" and not parcel.broken:
                raise TransientError(f"{parcel.source} 的报文 {parcel.name} 得到应答 {answer or '(无)'}, 应为 AA; 请看 `yifang messages list`")
            desk.done(parcel, answer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> str:
    """Sends a message and gives MSA-1 of the answer."""
    writer.write(b"\x0b" + content + b"\x1c\r")
    await writer.drain()
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readuntil(b"\x1c\r")
    for segment in answer.strip(b"\x0b\x1c\r").split(b"\r"):
        if segment.startswith(b"MSA"):
            return segment.split(b"|")[1].decode("ascii")
    return ""


async def _half(host: str | None, port: int | None, content: bytes) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.write(content)
    await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _posts(parcels: Sequence[Parcel], url: str, desk: _Desk) -> None:
    """POSTs one after another on one session."""
    with requests.Session() as session:
        session.trust_env = False
        for parcel in parcels:
            status = await desk.aside(_post, session, url, parcel)
            if status >= 300 and not parcel.broken:
                raise TransientError(f"{parcel.source} 的请求 {parcel.name} 得到 HTTP {status}, 应为 2xx; 请看 `yifang messages list`")
            desk.done(parcel, str(status))


def _post(session: requests.Session, url: str, parcel: Parcel) -> int:
    """Status of the answer; 429 and 503 are tried again after the pause that the server asks for."""
    assert isinstance(parcel.content, bytes)
    for attempt in range(TRIES):
        answer = session.post(url, data=parcel.content, headers={"Content-Type": "application/json"}, timeout=PATIENCE)
        if answer.status_code not in (429, 503):
            break
        pause = answer.headers.get("Retry-After", "")
        time.sleep(float(pause) if pause.isdigit() else 0.2 * 2**attempt)
    return answer.status_code


async def _commits(parcels: Sequence[Parcel], database: Path, desk: _Desk) -> None:
    """Transactions of a hospital system on its front-end database."""
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool, connect_args={"timeout": 60})
    for parcel in parcels:
        assert isinstance(parcel.content, Rows)
        if parcel.late:
            await asyncio.sleep(LOOKS * POLL)
        await desk.aside(_commit, engine, parcel.content)
        desk.done(parcel, "")


def _commit(engine: sa.Engine, rows: Rows) -> None:
    with engine.begin() as connection:
        for vendor, records in rows.tables:
            fill_views(connection, vendor, records)


async def _drops(parcels: Sequence[Parcel], folder: Path, desk: _Desk) -> None:
    """Files, in order: a batch is put into the folder, the next one when that was taken."""
    await desk.aside(partial(folder.mkdir, parents=True, exist_ok=True))
    for first in range(0, len(parcels), IN_FOLDER):
        some = parcels[first : first + IN_FOLDER]
        paths = [await desk.aside(_drop, folder, parcel) for parcel in some]
        await desk.aside(_taken, paths, desk.closed)
        for parcel in some:
            desk.done(parcel, "")


def _taken(paths: Sequence[Path], closed: threading.Event) -> None:
    """Waits until none of the files is there any more. Raises TransientError when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while any(path.exists() for path in paths):
        if time.monotonic() > deadline:
            raise TransientError(f"文件夹 {paths[0].parent} 里的文件没有被取走; 请看网关的日志")
        if closed.wait(0.05):
            return


def _drop(folder: Path, parcel: Parcel) -> Path:
    """Writes a file beside its name and renames it, so that it appears whole."""
    assert isinstance(parcel.content, bytes)
    target = folder / parcel.name
    temporary = folder / f".{parcel.name}.part"
    temporary.write_bytes(parcel.content)
    temporary.replace(target)
    return target
