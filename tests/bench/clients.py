"""HTTP clients of the API benchmark, a process of their own: what they send is on standard input, what came of it on standard output.

python -m tests.bench.clients PORT CONNECTIONS < requests     one request a line: JSON [method, path, body or null]
    {"seconds": s, "answers": {status: n}, "p50": ms, "p99": ms, "locations": [...]}   locations: of what was created
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence

Asked = tuple[str, str, str | None]


def request(port: int, method: str, path: str, body: str | None) -> bytes:
    """The bytes of one request."""
    content = (body or "").encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/fhir+json\r\n"
    if body is not None:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


async def answer(reader: asyncio.StreamReader) -> tuple[int, str, bool]:
    """Status and Location of one answer, its body read to the end; whether the server closes the connection after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).strip() or b"0", 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    return int(status.split()[1]), headers.get("location", ""), headers.get("connection", "").lower() == "close"


async def connection(port: int, asked: Sequence[bytes], waits: list[float], told: Counter[int], locations: list[str]) -> None:
    """Sends its requests one after another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    for content in asked:
        began = time.perf_counter()
        writer.write(content)
        status, location, last = await answer(reader)
        waits.append(time.perf_counter() - began)
        if last:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        told[status] += 1
        if location:
            locations.append(location)
    writer.close()


async def load(port: int, connections: int, asked: Sequence[Asked]) -> dict[str, object]:
    """All requests over so many connections at once."""
    contents = [request(port, *one) for one in asked]
    waits: list[float] = []
    told: Counter[int] = Counter()
    locations: list[str] = []
    began = time.perf_counter()
    await asyncio.gather(*(connection(port, contents[n::connections], waits, told, locations) for n in range(connections)))
    seconds = time.perf_counter() - began
    waits.sort()
    return {
        "seconds": seconds,
        "answers": told,
        "p50": waits[len(waits) // 2] * 1e3,
        "p99": waits[int(len(waits) * 0.99)] * 1e3,
        "locations": locations,
    }


if __name__ == "__main__":
    lines = [json.loads(line) for line in sys.stdin]
    print(json.dumps(asyncio.run(load(int(sys.argv[1]), int(sys.argv[2]), lines))))
