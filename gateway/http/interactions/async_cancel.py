"""The end of an asynchronous request that nobody wants any more, in work or answered.

https://hl7.org/fhir/R4/async.html
"""

from __future__ import annotations

import asyncio

from gateway.http.call import ADDRESS, Call, Reply
from gateway.http.interactions.async_status import nothing
from gateway.http.registry import interaction
from gateway.store import jobs


@interaction("", "system", "DELETE", f"{ADDRESS}/i")
async def async_cancel(call: Call) -> Reply:
    """202; from then on 404, and the answer is gone. What was handed to the writer already is written."""
    if not await asyncio.to_thread(jobs.forget, call.backend.database, call.id, call.caller.client):
        raise nothing()
    call.backend.tasks.cancel(call.id)
    return Reply(202)
