"""A delete of whatever the criteria match.

https://hl7.org/fhir/R4/http.html#3.1.0.7.1
"""

from __future__ import annotations

from urllib.parse import urlencode

from gateway.http.call import Call, Reply
from gateway.http.criteria import canonical, conditions, find_now
from gateway.http.registry import interaction
from gateway.http.versions import asked_version
from gateway.http.writing import write
from gateway.store.api.asks import Ask


@interaction("", "type", "DELETE", "T")
async def conditional_delete(call: Call) -> Reply:
    """204 when one matches, and when none does; 412 when several do: they are deleted one by one, by id."""
    ask = conditional_delete_of(call)
    await find_now(call, call.type, ask.criteria)
    return await write(call, ask, conditions(call))


def conditional_delete_of(call: Call) -> Ask:
    """What the request asks for."""
    return Ask("delete", call.type, "", expect=asked_version(call), criteria=canonical(urlencode(call.query)))
