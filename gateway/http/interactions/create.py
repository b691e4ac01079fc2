"""A new resource under an id that the server allots.

https://hl7.org/fhir/R4/http.html#create
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.ids import allot
from gateway.http.registry import interaction
from gateway.http.resources import resource_of
from gateway.http.writing import write
from gateway.store.api.asks import Ask


@interaction("create", "type", "POST", "T")
async def create(call: Call) -> Reply:
    """201 with Location, ETag and Last-Modified; an id in the body is not kept."""
    body = resource_of(call)
    return await write(call, Ask("create", call.type, allot(), body, minted=True))
