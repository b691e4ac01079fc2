"""The end of a resource: its versions stay in the history.

https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.registry import interaction
from gateway.http.versions import asked_version
from gateway.http.writing import write
from gateway.store.api.asks import Ask


@interaction("delete", "instance", "DELETE", "T/i")
async def delete(call: Call) -> Reply:
    """204 with the ETag of the deletion, also when there is nothing (left) to delete; 412 against If-Match."""
    return await write(call, delete_of(call))


def delete_of(call: Call) -> Ask:
    """What the request asks for."""
    return Ask("delete", call.type, call.id, expect=asked_version(call))
