"""Independent requests in one Bundle: each is answered for itself.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.http.answering import failed, settled
from gateway.http.call import Call, Reply
from gateway.http.entries import Entry, answered, entry_of, response
from gateway.http.problems import Problem

READS = ("GET", "HEAD")


async def batch(call: Call, body: dict[str, Any]) -> Reply:
    """200 with a Bundle of type `batch-response`; an entry that fails says so with its own status and outcome. Writes go to the writer together,
    reads follow."""
    found = body.get("entry", [])
    if not isinstance(found, list):
        raise Problem(400, "structure", "Bundle.entry 应为一个列表", "Bundle.entry should be a list", "Bundle.entry")
    answers: list[bytes] = [b""] * len(found)
    entries: list[Entry] = []
    for n, e in enumerate(found):
        try:
            entries.append(entry_of(call, n, e))
        except Problem as fault:
            answers[n] = response(call, failed(call, fault), resource=False)

    async def take(entry: Entry) -> None:
        answers[entry.at] = await one(entry.call)

    await asyncio.gather(*(take(e) for e in entries if e.call.method not in READS))
    for e in entries:
        if e.call.method in READS:
            await take(e)
    return answered("batch-response", answers)


async def one(call: Call) -> bytes:
    """An entry's answer."""
    reply = await settled(call)
    shown = call.method == "GET" or call.prefers("return") == "representation" or bool(call.operation) or call.path[-1:] == ("_search",)
    return response(call, reply, resource=shown)
