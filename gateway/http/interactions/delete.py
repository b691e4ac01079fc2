"""The end of a resource: its versions stay in the history.

https://hl7.org/fhir/R4/http.html#delete
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.registry import interaction
from gateway.http.versions import asked_version, etag
from gateway.http.writing import origin_of, run
from gateway.store.api.asks import Ask, Wrote
from gateway.store.api.writes import Writes


@interaction("delete", "instance", "DELETE", "T/i")
async def delete(call: Call) -> Reply:
    """204 with the ETag of the deletion, also when there is nothing (left) to delete; 412 against If-Match."""
    backend = call.backend
    ask = Ask("delete", call.type, call.id, expect=asked_version(call))
    wrote, headers = await run(call, Writes([ask], origin_of(call, f"DELETE {call.type}"), backend.site.config.base, backend.rids))
    return deleted(wrote[0], headers)


def deleted(wrote: Wrote, headers: dict[str, str]) -> Reply:
    """The answer to a delete."""
    return Reply(204, headers=headers | ({"ETag": etag(wrote.version)} if wrote.version else {}))
