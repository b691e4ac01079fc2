"""An update of whatever the criteria match, or a create when they match nothing.

https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

from urllib.parse import urlencode

from gateway.http.call import Call, Reply
from gateway.http.criteria import canonical, conditions, find_now
from gateway.http.ids import allot
from gateway.http.registry import interaction
from gateway.http.resources import resource_of
from gateway.http.versions import asked_version, must_be_absent
from gateway.http.writing import write
from gateway.store.api.asks import Ask


@interaction("", "type", "PUT", "T")
async def conditional_update(call: Call) -> Reply:
    """200 or 201 as an update has them; 412 when several match, 400 when the body's id is not that of the match."""
    ask = conditional_update_of(call)
    await find_now(call, call.type, ask.criteria)  # what is not understood is told before the writer is asked
    return await write(call, ask, conditions(call))


def conditional_update_of(call: Call) -> Ask:
    """What the request asks for."""
    body, criteria = resource_of(call), canonical(urlencode(call.query))
    return Ask("update", call.type, allot(), body, asked_version(call), must_be_absent(call), minted=True, criteria=criteria)
