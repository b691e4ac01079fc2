"""A small outbound MLLP client: one connection, one message at a time, the answer matched by MSA-2."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType

from adapters.hl7v2 import charset, header
from adapters.hl7v2.framing import Deframer, Frame, envelope
from gateway.errors import Refused, TransientError


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the receiver said: MSA-1, MSA-2, MSA-3 and the whole message."""

    code: str
    control_id: str
    text: str
    content: str


class MllpClient:
    """An open connection to an MLLP receiver: `async with MllpClient(host, port) as client: await client.send(message)`."""

    def __init__(self, host: str, port: int, *, timeout: float = 30.0) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._deframer = Deframer(1 << 20)
        self._frames: list[Frame] = []

    async def __aenter__(self) -> MllpClient:
        try:
            async with asyncio.timeout(self._timeout):  # not wait_for: on Python 3.11 it can swallow a cancellation
                self._reader, self._writer = await asyncio.open_connection(*self._address)
        except (OSError, TimeoutError) as e:
            raise TransientError(f"MLLP 连接不上 {self._address[0]}:{self._address[1]}") from e
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def send(self, message: bytes) -> Acknowledgement:
        """Sends one message and waits for its answer. Raises TransientError when the connection ends or the time is up first."""
        try:
            async with asyncio.timeout(self._timeout):
                await self.post(message)
                return await self.answer()
        except (OSError, TimeoutError) as e:
            raise TransientError("MLLP 没有等到应答; 报文可能已被接收, 重发不会重复") from e

    async def post(self, message: bytes) -> None:
        """Sends one message without waiting (pipelining)."""
        assert self._writer is not None, "use `async with`"
        self._writer.write(envelope(message))
        await self._writer.drain()

    async def answer(self) -> Acknowledgement:
        """The next answer, in the order of the messages sent."""
        assert self._reader is not None, "use `async with`"
        while not self._frames:
            data = await self._reader.read(1 << 16)
            if not data:
                raise TransientError("对方关闭了 MLLP 连接, 没有应答")
            self._frames += [piece for piece in self._deframer.feed(data) if isinstance(piece, Frame)]
        return parse_acknowledgement(self._frames.pop(0).content)


def parse_acknowledgement(content: bytes) -> Acknowledgement:
    """Reads an ACK. Raises TransientError when it is none."""
    try:
        text = charset.decode(content).text
        field = header.read(text).separators.field
    except Refused as e:
        raise TransientError("收到的应答不是 HL7 v2 报文") from e
    for line in text.split("\r"):
        if line.startswith("MSA"):
            cells = [*line.split(field), "", "", "", ""]
            return Acknowledgement(cells[1], cells[2], cells[3], text)
    raise TransientError("收到的应答没有 MSA 段")


async def send(host: str, port: int, message: bytes, *, patience: float = 30.0) -> Acknowledgement:
    """Opens a connection, sends one message, returns its acknowledgement; waits `patience` seconds for each step."""
    async with MllpClient(host, port, timeout=patience) as client:
        return await client.send(message)
