"""The current version of one resource.

https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.registry import interaction
from gateway.http.stored import current, shown

__all__ = ["read"]


@interaction("read", "instance", "GET", "T/i")
async def read(call: Call) -> Reply:
    """200 with ETag and Last-Modified; 304 when the client has the current version; 404 unknown; 410 deleted."""
    return shown(call, *await current(call))
