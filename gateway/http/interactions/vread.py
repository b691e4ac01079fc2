"""One version of one resource.

https://hl7.org/fhir/R4/http.html#vread
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.stored import shown, standing


@interaction("vread", "instance", "GET", "T/i/_history/v")
async def vread(call: Call) -> Reply:
    """200 with the version as it was; 404 when there is none of that number; 410 when that version is the deletion."""
    reads = call.backend.reads
    number = int(call.version) if call.version.isdecimal() and len(call.version) < 10 else 0
    found = await call.backend.reading(lambda: reads.version(call.type, call.id, number, call.scope))
    if found is not None and found[0] != number:
        zh, en = f"{call.type}/{call.id} 没有第 {call.version[:20]} 版", f"{call.type}/{call.id} has no version {call.version[:20]}"
        raise Problem(404, "not-found", zh, en)
    return shown(call, *standing(call, found))
