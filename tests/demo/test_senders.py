"""Each parcel goes over the protocol of its feed and counts as sent only when somebody answered for it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer

from gateway.demo.broken import HALF
from gateway.demo.feeds import FEEDS, sources
from gateway.demo.parcel import Parcel, Rows
from gateway.demo.senders import send
from gateway.errors import TransientError

MESSAGE = b"MSH|^~\\&|LIS|H1|||20260105||ORU^R01|1|P|2.4\rPID|1\r"


class Receiver:
    """An MLLP receiver that answers every frame with one code and remembers what came."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.frames: list[bytes] = []
        self.halves: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.frames.append((await reader.readuntil(b"\x1c\r"))[1:-2])
                writer.write(b"\x0bMSH|^~\\&|YIFANG\rMSA|" + self.code.encode() + b"|1\r\x1c\r")
                await writer.drain()
        except asyncio.IncompleteReadError as end:
            self.halves += [end.partial] if end.partial else []
        finally:
            writer.close()


async def over_wire(code: str, parcels: list[Parcel], root: Path) -> tuple[Receiver, list[tuple[str, str]]]:
    receiver, answers = Receiver(code), list[tuple[str, str]]()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await send(parcels, {"people-lis": f"mllp://127.0.0.1:{port}"}, root, lambda p, a: answers.append((p.name, a)))
        await asyncio.sleep(0.05)
    return receiver, answers


@contextmanager
def emptied(folder: Path) -> Iterator[list[str]]:
    """Takes every file that appears in the folder, as the gateway does; gives their names."""
    taken: list[str] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.01):
            for path in folder.glob("[!.]*"):
                taken.append(path.name)
                path.unlink()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield taken
    finally:
        stop.set()
        thread.join()


def test_messages_over_mllp_and_half_a_frame(tmp_path: Path) -> None:
    parcels = [Parcel("people-lis", "a", MESSAGE), Parcel("people-lis", "half", HALF + MESSAGE[:20], broken=True), Parcel("people-lis", "b", MESSAGE)]
    receiver, answers = asyncio.run(over_wire("AA", parcels, tmp_path))
    assert receiver.frames == [MESSAGE, MESSAGE]
    assert receiver.halves == [HALF + MESSAGE[:20]]
    assert sorted(answers) == [("a", "AA"), ("b", "AA"), ("half", "")]


def test_a_refusal_of_a_sound_message_is_an_error_and_of_a_broken_one_is_not(tmp_path: Path) -> None:
    _, answers = asyncio.run(over_wire("AR", [Parcel("people-lis", "bad", MESSAGE, broken=True)], tmp_path))
    assert answers == [("bad", "AR")]
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(over_wire("AR", [Parcel("people-lis", "good", MESSAGE)], tmp_path))
    assert isinstance(raised.value.exceptions[0], TransientError)


def test_requests_are_posted_and_tried_again_when_the_gateway_is_busy(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/ingest/village-posts", "POST", data=b"[1]").respond_with_data(status=503, headers={"Retry-After": "0"})
    httpserver.expect_ordered_request("/ingest/village-posts", "POST", data=b"[1]").respond_with_json({})
    answers: list[str] = []
    places = {"http": httpserver.url_for("").rstrip("/"), "village-posts": "/ingest/village-posts"}
    asyncio.run(send([Parcel("village-posts", "one", b"[1]")], places, tmp_path, lambda _, answer: answers.append(answer)))
    httpserver.check()
    assert answers == ["200"]


def test_files_appear_whole_and_are_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / FEEDS["people-documents"].place
    folder.mkdir()
    names: list[str] = []
    with emptied(folder) as taken:
        asyncio.run(send([Parcel("people-documents", "a.xml", b"<a/>")], {}, tmp_path, lambda p, _: names.append(p.name)))
    assert taken == names == ["a.xml"]


def test_rows_are_committed_and_a_newer_version_replaces_the_older(tmp_path: Path) -> None:
    sources(tmp_path)
    feed = FEEDS["people-his"]
    vendor = feed.vendor("prescription")
    item = {"序号": "1", "药品名称": "缬沙坦胶囊"}
    record = {"机构代码": "390121001", "处方号": "CF1", "处方状态": "3", "药品": [item, item | {"序号": "2"}], "更新时间": "2026-01-05 09:00:00"}
    voided = record | {"处方状态": "9", "药品": [item], "更新时间": "2026-01-05 10:00:00"}
    parcels = [Parcel(feed.name, str(n), Rows(((vendor, (r,)),))) for n, r in enumerate((record, voided))]
    asyncio.run(send(parcels, {}, tmp_path, lambda _parcel, _answer: None))
    engine = sa.create_engine(f"sqlite:///{tmp_path / feed.place}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select recipe_no, recipe_state from v_mz_recipe")).all() == [("CF1", "Z")]
        assert connection.scalar(sa.text("select count(*) from v_mz_recipe_item")) == 1
    shutil.rmtree(tmp_path)
