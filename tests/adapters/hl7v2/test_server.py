"""The MLLP server over real sockets, with an intake that can be slow, failing or full."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from adapters.hl7v2 import adapter
from adapters.hl7v2.client import MllpClient, send
from adapters.hl7v2.framing import envelope
from adapters.hl7v2.options import Options
from gateway.errors import TransientError
from gateway.record import Incoming, Receipt
from tests.adapters.hl7v2.layouts import message, oru
from tests.adapters.intake import RecordingIntake, Running, start, until

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def listening(intake: RecordingIntake | None = None, **options: Any) -> AsyncIterator[tuple[int, RecordingIntake, Running]]:
    """A server on a free port, its intake, and the running feed."""
    layouts = [oru()]
    used = intake or RecordingIntake(adapter.compile(layouts))
    running = await start(adapter, layouts, used, {"port": 0, **options})
    try:
        yield int(running.place.rpartition(":")[2]), used, running
    finally:
        await running.stop()


def kept(intake: RecordingIntake) -> list[str]:
    """Code of the refusal of each kept message, "" where there is none."""
    return [c.receipt.reason.code if c.receipt.reason else "" for c in intake.committed]


async def test_aa_comes_after_the_commit_with_the_senders_id_version_and_charset() -> None:
    async with listening() as (port, intake, _):
        reply = await send("127.0.0.1", port, message(control_id="X7", version="2.3.1"))
        assert (reply.code, reply.control_id) == ("AA", "X7")
        head = reply.content.split("\r")[0].split("|")
        assert (head[2], head[4], head[5], head[8], head[11], head[17]) == ("YIFANG", "LIS", "H1", "ACK^R01", "2.3.1", "UNICODE UTF-8")
        (committed,) = intake.committed
        assert (committed.incoming.name, committed.incoming.charset, committed.incoming.peer) == ("X7", "utf-8", "127.0.0.1")
        assert len(committed.rows) == 1


async def test_a_gbk_sender_is_answered_in_gbk() -> None:
    held = "PID|1||A1\rOBX|1|NM|A||1||||||F\r"
    async with listening() as (port, intake, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(envelope(message(held.replace("A1", "A1||张三"), charset="GB 18030-2000", codec="gb18030", version="2.3.1")))
        raw = await reader.readuntil(b"\x1c\r")
        writer.close()
        text = raw.decode("gb18030")
        assert "MSA|AA|M1|segment-misplaced: OBX 段的位置不对" in text
        assert "ERR|OBX" not in text and "\rERR|" in text
        assert intake.committed[0].incoming.charset == "gb18030"


async def test_a_held_message_is_aa_with_the_reason_as_its_version_says_it() -> None:
    body = "PID|1||A1\rOBX|1|NM|A||1||||||F\r"
    async with listening() as (port, _, _running):
        old = await send("127.0.0.1", port, message(body, version="2.4"))
        new = await send("127.0.0.1", port, message(body, version="2.5.1"))
    assert old.code == new.code == "AA"
    error_old, error_new = (next(line for line in r.content.split("\r") if line.startswith("ERR")).split("|") for r in (old, new))
    assert error_old[1].endswith("100&Segment sequence error&HL70357") and len(error_old) == 2
    assert (error_new[3], error_new[4], error_new[5]) == ("100^Segment sequence error^HL70357", "W", "segment-misplaced^^L")
    assert "OBX 段的位置不对" in error_new[8] and new.content.split("|")[8] == "ACK^R01^ACK"


@pytest.mark.parametrize(
    ("content", "options", "code", "reason"),
    [
        (b"MSH|^~\\&|LIS|H1|||2026||ORU^R01|U1|P|2.4\rPID|1||\xff\xfe\r", {}, "AR", "undecodable"),
        (message(control_id="U1"), {"applications": ["OTHER"]}, "AR", "wrong-sender"),
        (message(control_id="U1"), {"facilities": ["OTHER"]}, "AR", "wrong-sender"),
        (message("NTE|1||" + "x" * 5000 + "\r", control_id="U1"), {"max_frame": 1024}, "AR", "frame-too-large"),
        (message(control_id="U1").replace(b"ORU^R01", b"SIU^S12"), {}, "AR", "unknown-message-type"),
        (message(control_id="U1"), {"applications": ["LIS"], "facilities": ["H1"]}, "AA", ""),
    ],
)
async def test_what_cannot_be_taken_is_ar_and_kept(content: bytes, options: dict[str, Any], code: str, reason: str) -> None:
    async with listening(**options) as (port, intake, _):
        reply = await send("127.0.0.1", port, content)
        assert (reply.code, reply.control_id) == (code, "U1")
        assert kept(intake) == [reason]
        if reason == "frame-too-large":
            assert f"size={len(content)}".encode() in intake.committed[0].content
        else:
            assert intake.committed[0].content == content


class Early(RecordingIntake):
    """An intake that always has others in work: it answers as soon as a message is durable, when its sender needs no more."""

    def _commit(self, incoming: Incoming) -> Receipt:
        receipt = super()._commit(incoming)
        return Receipt(receipt.message, "accepted") if incoming.waits_for == "stored" and incoming.refused is None else receipt


@pytest.mark.parametrize(("version", "codec"), [("2.3.1", "gb18030"), ("2.5.1", "utf-8")])
async def test_a_message_answered_before_it_is_mapped_is_aa_that_says_so(version: str, codec: str) -> None:
    body = "PID|1||A1||张三\rOBX|1|NM|A||1||||||F\r"
    content = message(body, version=version, charset="GB 18030-2000" if codec == "gb18030" else "UNICODE UTF-8", codec=codec)
    async with listening(Early(adapter.compile([oru()]))) as (port, _, _running):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(envelope(content))
        reply = (await reader.readuntil(b"\x1c\r")).decode(codec)
        writer.close()
    assert "MSA|AA|M1|报文已存储, 随后映射" in reply
    assert "ERR|" not in reply


async def test_what_is_ar_is_known_before_a_message_is_answered_early() -> None:
    for content in (message().replace(b"ORU^R01", b"SIU^S12"), b"MSH|^~\\&|LIS|H1|||2026||ORU^R01|U1|P|2.4\rPID|1||\xff\xfe\r", b"no message"):
        async with listening(Early(adapter.compile([oru()]))) as (port, intake, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(envelope(content))
            assert b"MSA|AR|" in await reader.readuntil(b"\x1c\r")
            writer.close()
            assert intake.committed[0].incoming.refused is not None


async def test_several_messages_in_one_frame_wait_for_their_outcomes() -> None:
    async with listening(Early(adapter.compile([oru()]))) as (port, intake, _):
        reply = await send("127.0.0.1", port, message() + message(control_id="M2").replace(b"ORU^R01", b"SIU^S12"))
        assert reply.code == "AA" and "unknown-message-type" in reply.content
        assert intake.committed[0].incoming.waits_for == "outcome"


async def test_when_nothing_could_be_stored_the_answer_is_ae_and_a_repeat_is_taken() -> None:
    intake = RecordingIntake(adapter.compile([oru()]), failures=1)
    async with listening(intake) as (port, _, _running):
        assert (await send("127.0.0.1", port, message())).code == "AE"
        assert (await send("127.0.0.1", port, message())).code == "AA"
        assert len(intake.committed) == 1


async def test_a_control_id_that_comes_twice_is_two_messages_and_the_same_bytes_are_a_repeat() -> None:
    async with listening() as (port, intake, _):
        for body in (message(), message(), message().replace(b"5.60", b"5.70")):
            assert (await send("127.0.0.1", port, body)).code == "AA"
        assert [c.receipt.outcomes[0].state for c in intake.committed] == ["written", "repeat", "written"]


async def test_pipelined_messages_are_answered_in_order() -> None:
    async with listening() as (port, intake, _), MllpClient("127.0.0.1", port) as client:
        for i in range(20):
            await client.post(message(control_id=f"P{i}"))
        assert [(await client.answer()).control_id for _ in range(20)] == [f"P{i}" for i in range(20)]
        assert intake.most_waiting == 1


async def test_many_connections_are_served_side_by_side() -> None:
    intake = RecordingIntake(adapter.compile([oru()]), delay=0.05)
    async with listening(intake) as (port, _, _running):
        replies = await asyncio.gather(*(send("127.0.0.1", port, message(control_id=f"C{i}")) for i in range(20)))
    assert sorted(r.control_id for r in replies) == sorted(f"C{i}" for i in range(20))
    assert intake.most_waiting > 5


async def test_a_frame_above_one_megabyte_arrives_whole() -> None:
    body = "PID|1||A1\rOBR|1||R1|X\rOBX|1|TX|A||" + "长" * 600_000 + "||||||F\r"
    async with listening() as (port, intake, _):
        assert (await send("127.0.0.1", port, message(body))).code == "AA"
        assert intake.committed[0].content == message(body)


async def test_half_a_frame_at_disconnect_is_kept_as_refused_and_not_answered() -> None:
    async with listening() as (port, intake, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(envelope(message())[:60])
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await until(lambda: len(intake.committed) == 1)
        assert kept(intake) == ["half-frame"]
        assert b"sha256=" in intake.committed[0].content and message()[:40] in intake.committed[0].content


async def test_a_slow_store_is_felt_by_the_sender_and_nothing_piles_up() -> None:
    gate = asyncio.Event()
    intake = RecordingIntake(adapter.compile([oru()]), gate=gate)
    async with listening(intake) as (port, _, _running):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        big = envelope(message("PID|1||A1\rOBR|1||R1|X\rOBX|1|TX|A||" + "x" * 1_000_000 + "||||||F\r"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(40):
                    writer.write(big)
                    await writer.drain()
        assert intake.started == 1
        gate.set()
        await until(lambda: intake.finished >= 2)
        writer.transport.abort()
        assert reader is not None


async def test_a_peer_that_is_not_on_the_list_is_turned_away_and_remarked() -> None:
    async with listening(peers=["10.1.0.0/16"]) as (port, intake, _):
        with pytest.raises(TransientError):
            await send("127.0.0.1", port, message())
        assert [r.code for r in intake.remarks] == ["peer-not-allowed"]
        assert intake.committed == []


async def test_cancelling_leaves_no_message_half_accepted_and_frees_the_port() -> None:
    gate = asyncio.Event()
    intake = RecordingIntake(adapter.compile([oru()]), gate=gate)
    async with listening(intake) as (port, _, running):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(envelope(message()))
        await until(lambda: intake.waiting == 1)
        await running.stop()
        assert intake.committed == []
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(TransientError):
            await send("127.0.0.1", port, message())


async def test_a_port_that_is_taken_is_remarked_and_tried_again() -> None:
    async with listening() as (port, _, _running):
        layouts = [oru()]
        intake = RecordingIntake(adapter.compile(layouts))
        task = asyncio.create_task(start(adapter, layouts, intake, {"port": port}))
        await until(lambda: bool(intake.remarks))
        assert [r.code for r in intake.remarks] == ["port-unavailable"]
        assert str(port) in intake.remarks[0].message
    second = await task
    await second.stop()


def test_peers_are_networks() -> None:
    options = Options.model_validate({"peers": ["10.1.0.0/16", "192.168.1.5", "fd00::/8"]})
    allowed: Callable[[str], bool] = options.admits
    assert [allowed(a) for a in ("10.1.9.9", "192.168.1.5", "::ffff:10.1.2.3", "fd00::1", "10.2.0.1", "nonsense")] == [True] * 4 + [False] * 2
    with pytest.raises(ValueError, match="网段"):
        Options.model_validate({"peers": ["here"]})
