"""The MLLP server: one port a source, many connections, each answered in order.

A connection reads only while its last message is being stored, so a gateway that is behind is felt by the sender as TCP back-pressure.
An acknowledgement goes out after the commit (`Intake.accept`). Cancelling closes the port and the connections; a message whose commit
was under way is either durable and unanswered (the sender repeats it, which changes nothing) or was never taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass

from adapters.hl7v2 import acknowledge, charset, header
from adapters.hl7v2.acknowledge import Answer
from adapters.hl7v2.extract import type_check
from adapters.hl7v2.framing import Broken, Deframer, Frame, envelope
from adapters.hl7v2.header import Header
from adapters.hl7v2.messages import messages
from adapters.hl7v2.options import Options
from gateway.adapter import Feed
from gateway.errors import ConfigError, Finding, Refused, TransientError
from gateway.record import IN_PART, Incoming

MEDIA_TYPE = "x-application/hl7-v2+er7"
_READ = 1 << 16
_RETRY_FIRST, _RETRY_LIMIT = 1.0, 60.0


async def serve(feed: Feed) -> None:
    """Listens until cancelled. A port that is taken is remarked and tried again with growing pauses."""
    options = feed.options
    if not isinstance(options, Options):
        raise ConfigError(f"来源 {feed.source.name}: hl7v2 适配器的 options 没有经过检查")
    pause = _RETRY_FIRST
    while True:
        port = _Port(feed, options)
        try:
            server = await asyncio.start_server(port.connected, options.host, options.port, limit=_READ)
        except OSError as e:
            text = f"MLLP 端口 {options.host}:{options.port} 打不开({e.strerror or e}); {pause:.0f} 秒后重试。请检查地址, 或端口是否被别的程序占用"
            feed.intake.remark(Finding("port-unavailable", "note", text, source=f"{options.host}:{options.port}"))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_LIMIT)
            continue
        try:
            host, number = server.sockets[0].getsockname()[:2]
            feed.ready(f"mllp://{host}:{number}")
            await server.serve_forever()
        finally:
            server.close()
            await port.close()
            await server.wait_closed()
        return


@dataclass(frozen=True, slots=True)
class _Known:
    """What could be read of a message before it goes to the intake. alone: it is the only one in its frame."""

    head: Header | None
    charset: str
    refused: Finding | None
    alone: bool = False


class _Port:
    """The connections of one listening port."""

    def __init__(self, feed: Feed, options: Options) -> None:
        self._feed = feed
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._preferred = next((layout.charset for layout in feed.layouts if layout.charset), "")
        self._unknown_type = type_check(feed.layouts)

    async def close(self) -> None:
        """Ends every connection and waits for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from accept to close; what goes wrong on it stays on it."""
        task = asyncio.current_task()
        assert task is not None
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        if len(self._tasks) >= self._options.max_connections or not self._options.admits(peer):
            self._turned_away(peer)
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._converse(reader, writer, peer)
        except OSError as e:
            text = f"与 {peer} 的连接中断({e.strerror or type(e).__name__}); 未应答的报文由对方重发"
            self._feed.intake.remark(Finding("connection-broken", "note", text, source=peer))
        except asyncio.CancelledError:
            pass  # the port closes; start_server's own callback would report the cancellation as an error
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _turned_away(self, peer: str) -> None:
        if self._options.admits(peer):
            text = f"同时连接数已达上限 {self._options.max_connections}, 拒绝了 {peer} 的连接; 请对方复用连接, 或调大 max_connections"
            self._feed.intake.remark(Finding("too-many-connections", "note", text, source=peer))
            return
        text = f"拒绝了不在 peers 名单里的地址 {peer} 的连接; 若是自己的系统, 请把它的地址加进该来源的 options.peers"
        self._feed.intake.remark(Finding("peer-not-allowed", "note", text, source=peer))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        deframer = Deframer(self._options.max_frame)
        while True:
            data = await self._data(reader)
            if not data:
                break
            self._feed.intake.alive()
            for piece in deframer.feed(data):
                reply = await (self._message(piece, peer) if isinstance(piece, Frame) else self._broken(piece, peer))
                if reply is None:
                    return
                if reply:
                    writer.write(envelope(reply))
                    await writer.drain()
        rest = deframer.finish()
        if rest is not None:
            await self._broken(rest, peer)

    async def _data(self, reader: asyncio.StreamReader) -> bytes:
        """What came next; b"" at the end, or when nothing came for `idle` seconds."""
        if not self._options.idle:
            return await reader.read(_READ)
        try:
            async with asyncio.timeout(self._options.idle):
                return await reader.read(_READ)
        except TimeoutError:
            return b""

    async def _message(self, frame: Frame, peer: str) -> bytes | None:
        known = self._read(frame.content)
        name = known.head.control_id if known.head else ""
        incoming = Incoming(frame.content, MEDIA_TYPE, name, peer, known.charset, refused=known.refused)
        if known.alone:
            incoming.waits_for = "stored"  # all that would be AR is known; what is held may be told by the gateway
        return await self._accept(incoming, known)

    async def _accept(self, incoming: Incoming, known: _Known) -> bytes | None:
        """Bytes of the answer; None when there is none to give and the connection should end, so that the sender tries again."""
        try:
            receipt = await self._feed.intake.accept(incoming)
        except TransientError:
            if known.head is None:
                return None
            text = "网关暂时存不下报文, 未接收; 请稍后重发"
            return self._acknowledge(known, Answer("AE", Finding("not-stored", "refuse", text)))
        reply = acknowledge.answer(receipt)
        if known.refused is not None:
            reply = Answer("AR", reply.reason or known.refused)
        return self._acknowledge(known, reply)

    def _acknowledge(self, known: _Known, reply: Answer) -> bytes:
        now = self._feed.clock.now()
        control_id = f"{now:%Y%m%d%H%M%S}{next(self._numbers):06d}"
        return acknowledge.acknowledge(
            known.head, reply, name=self._options.name, now=now, zone=self._feed.source.zone, control_id=control_id, charset=known.charset
        )

    async def _broken(self, piece: Broken, peer: str) -> bytes | None:
        """Keeps the head and digest of what is no message. Only a frame that was too large is answered: it had an end."""
        finding = _broken_finding(piece, self._options.max_frame)
        known = self._read(piece.head, cut=True)
        kept = f"size={piece.size} sha256={piece.digest}\r\n".encode("ascii") + piece.head
        name = known.head.control_id if known.head else ""
        incoming = Incoming(kept, IN_PART, name, peer, known.charset, refused=finding)
        reply = await self._accept(incoming, _Known(known.head, known.charset, finding))
        return reply if piece.reason == "too-large" else b""

    def _read(self, content: bytes, cut: bool = False) -> _Known:
        """Reads MSH. `cut`: the content ends anywhere, so only what stands before the last line end is decoded."""
        if cut:
            content = content.replace(b"\n", b"\r").split(b"\r", 1)[0]
        codec = ""
        head: Header | None = None
        try:
            found = messages(content)
            first = next(found, b"")
            alone = next(found, None) is None
            decoded = charset.decode(first, self._preferred)
            codec = decoded.charset
            head = header.read(decoded.text)
        except Refused as e:
            return _Known(_bare_header(content) if not codec else None, codec, e.finding)
        return _Known(head, codec, self._wrong_sender(head) or (self._unknown_type(head) if alone else None), alone)

    def _wrong_sender(self, head: Header) -> Finding | None:
        for label, said, allowed in (("MSH-3", head.application, self._options.applications), ("MSH-4", head.facility, self._options.facilities)):
            if allowed and said not in allowed:
                text = f"{label} 是 {said or '(空)'}, 此端口只接收 {'、'.join(allowed)}。请检查发送方配置, 或修改该来源的 options; 原文已保留"
                return Finding("wrong-sender", "refuse", text, source=label)
        return None


def _bare_header(content: bytes) -> Header | None:
    """MSH of a message that cannot be decoded: its ASCII fields are enough to answer with its control id."""
    try:
        return header.read(content.decode("ascii", "replace"))
    except Refused:
        return None


def _broken_finding(piece: Broken, limit: int) -> Finding:
    kept = f"共 {piece.size} 字节, 已保留开头和摘要"
    if piece.reason == "too-large":
        text = f"报文超过上限 {limit} 字节({kept})。请拆分后重发, 或调大该来源的 options.max_frame"
        return Finding("frame-too-large", "refuse", text, source="MLLP")
    if piece.reason == "half":
        text = f"只收到半条报文, 连接就断开或又从头开始了({kept})。未应答, 对方应会重发; 若常出现请检查网络与对方的超时设置"
        return Finding("half-frame", "refuse", text, source="MLLP")
    return Finding("outside-frame", "refuse", f"收到不在 MLLP 帧里的字节({kept})。请检查对方是否按 MLLP(0x0B … 0x1C 0x0D)发送", source="MLLP")
