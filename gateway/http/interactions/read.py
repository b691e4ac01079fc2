"""The current version of one resource.

https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from gateway.http.binary import native
from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.versions import stamped, unchanged

__all__ = ["gone", "read", "unknown"]


@interaction("read", "instance", "GET", "T/i")
async def read(call: Call) -> Reply:
    """200 with ETag and Last-Modified; 304 when the client has the current version; 404 unknown; 410 deleted."""
    reads = call.backend.reads
    if reads.sqlite:
        found = reads.current(call.type, call.id, call.scope)
    else:
        found = await call.backend.reading(lambda: reads.current(call.type, call.id, call.scope))
    if found is None:
        raise unknown(call)
    version, time, deleted, content = found
    headers = stamped(version, time)
    if deleted:
        raise gone(call, headers)
    if unchanged(call, version, time):
        return Reply(304, headers=headers, moment=time)
    reply = Reply(200, content, headers, moment=time)
    return native(call, reply) if call.type == "Binary" else reply


def unknown(call: Call) -> Problem:
    """404: there never was such a resource."""
    return Problem(404, "not-found", f"没有 {call.type}/{call.id}", f"{call.type}/{call.id} is not known")


def gone(call: Call, headers: dict[str, str]) -> Problem:
    """410: it was deleted."""
    return Problem(410, "deleted", f"{call.type}/{call.id} 已删除", f"{call.type}/{call.id} was deleted", headers=headers)
