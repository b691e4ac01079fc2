"""The stored resource that a request names, and the answer that shows it (https://hl7.org/fhir/R4/http.html#read, #vread)."""

from __future__ import annotations

from gateway.http.binary import native
from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.versions import stamped, unchanged

__all__ = ["current", "shown", "standing", "unknown"]


async def current(call: Call) -> tuple[int, int, bytes]:
    """Version, moment of writing (µs) and content of the current resource. Problem 404 or 410."""
    reads = call.backend.reads
    if reads.sqlite:
        return standing(call, reads.current(call.type, call.id, call.scope))
    return standing(call, await call.backend.gathering.current(call.type, call.id, call.scope))


def standing(call: Call, found: tuple[int, int, bool, bytes] | None) -> tuple[int, int, bytes]:
    """What a read of the store found. Problem 404 when there never was such a resource, 410 when it was deleted."""
    if found is None:
        raise unknown(call)
    version, time, deleted, content = found
    if deleted:
        zh, en = f"{call.type}/{call.id} 已删除", f"{call.type}/{call.id} was deleted"
        raise Problem(410, "deleted", zh, en, headers=stamped(version, time))
    return version, time, content


def shown(call: Call, version: int, time: int, content: bytes) -> Reply:
    """200 with this version, its ETag and Last-Modified; 304 when the client has it. A Binary in its own format."""
    headers = stamped(version, time)
    if unchanged(call, version, time):
        return Reply(304, headers=headers, moment=time)
    reply = Reply(200, content, headers, moment=time)
    return native(call, reply) if call.type == "Binary" else reply


def unknown(call: Call) -> Problem:
    """404: there never was such a resource."""
    return Problem(404, "not-found", f"没有 {call.type}/{call.id}", f"{call.type}/{call.id} is not known")
