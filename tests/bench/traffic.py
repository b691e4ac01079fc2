"""Both ends of the traffic benchmark: MLLP senders (a process of their own), and the servers that deliveries go to.

python -m tests.bench.traffic PORT FIRST COUNT CONNECTIONS        sends, waits for each acknowledgement, prints JSON:
    {"began": unix time, "seconds": s, "refused": n, "p50": ms, "p99": ms}
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import orjson

from tests.bench.messages import oru

PERSONS = 400
"""Residents that the messages are about, one after another."""
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)


async def send(port: int, messages: list[bytes], waits: list[float]) -> int:
    """One connection: each message is sent when the one before is acknowledged; how many were not accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused = 0
    for message in messages:
        began = time.perf_counter()
        writer.write(b"\x0b" + message + b"\x1c\r")
        answer = await reader.readuntil(b"\x1c\r")
        waits.append(time.perf_counter() - began)
        refused += b"MSA|AA|" not in answer
    writer.close()
    return refused


async def burst(port: int, first: int, count: int, connections: int) -> dict[str, float]:
    """All connections at once."""
    lots = [[oru(n, n % PERSONS) for n in range(first + c, first + count, connections)] for c in range(connections)]
    waits: list[float] = []
    clock, began = time.time(), time.perf_counter()
    refused = sum(await asyncio.gather(*(send(port, lot, waits) for lot in lots)))
    seconds = time.perf_counter() - began
    waits.sort()
    return {"began": clock, "seconds": seconds, "refused": refused, "p50": waits[len(waits) // 2] * 1e3, "p99": waits[int(len(waits) * 0.99)] * 1e3}


class Sink:
    """A server that takes whatever comes, counts it, and is waited for. `reports`: messages that arrived for good."""

    def __init__(self) -> None:
        self.reports = 0
        self.entries = 0
        self.port = 0
        self._stop = threading.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    async def _run(self) -> None:
        server = await asyncio.start_server(self._guarded, "127.0.0.1", 0, limit=1 << 26)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        while not self._stop.is_set():  # noqa: ASYNC110 - told from another thread, which has no loop
            await asyncio.sleep(0.05)
        server.close()

    async def _guarded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.serve(reader, writer)
        writer.close()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Awaitable[None]:
        """Talks on one connection until it ends."""
        raise NotImplementedError

    def wait(self, reports: int, seconds: float) -> bool:
        """Waits until this many have arrived; False when they have not within the time."""
        until = time.monotonic() + seconds
        while self.reports < reports and time.monotonic() < until:
            time.sleep(0.005)
        return self.reports >= reports


class FhirSink(Sink):
    """Answers transaction Bundles as a FHIR server does that keeps everything; a DiagnosticReport's first version is a message."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[str, int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            answer = self._answer(body) if head.startswith(b"POST") else b'{"resourceType":"Bundle","type":"searchset"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            await writer.drain()

    def _answer(self, body: bytes) -> bytes:
        entries = orjson.loads(body)["entry"]
        answers = []
        for entry in entries:
            url = entry["request"]["url"]
            version = self._versions[url] = self._versions.get(url, 0) + 1
            answers.append(
                {
                    "response": {
                        "status": "201 Created" if version == 1 else "200 OK",
                        "etag": f'W/"{version}"',
                        "location": f"{url}/_history/{version}",
                    }
                }
            )
            self.reports += version == 1 and url.startswith("DiagnosticReport/")
        self.entries += len(entries)
        return orjson.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": answers})


class MllpSink(Sink):
    """Acknowledges every message."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            frame = await reader.readuntil(b"\x1c\r")
            control = frame.split(b"|", 10)[9]
            writer.write(b"\x0bMSH|^~\\&|SINK|S|MF|M|20260301||ACK^R01|1|P|2.4\rMSA|AA|" + control + b"\r\x1c\r")
            await writer.drain()
            self.reports += 1
            self.entries += 1


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

if __name__ == "__main__":
    port, first, count, connections = (int(a) for a in sys.argv[1:5])
    print(json.dumps(asyncio.run(burst(port, first, count, connections))))
