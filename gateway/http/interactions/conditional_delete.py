"""A delete of whatever the criteria match.

https://hl7.org/fhir/R4/http.html#3.1.0.7.1
"""

from __future__ import annotations

from urllib.parse import urlencode

from gateway.http.call import Call, Reply
from gateway.http.criteria import canonical, conditions, find_now
from gateway.http.interactions.delete import deleted
from gateway.http.registry import interaction
from gateway.http.writing import origin_of, run
from gateway.store.api.asks import Ask
from gateway.store.api.writes import Writes


@interaction("", "type", "DELETE", "T")
async def conditional_delete(call: Call) -> Reply:
    """204 when one matches, and when none does; 412 when several do: they are deleted one by one, by id."""
    backend = call.backend
    criteria = canonical(urlencode(call.query))
    await find_now(call, call.type, criteria)
    ask = Ask("delete", call.type, "", criteria=criteria)
    writes = Writes([ask], origin_of(call, f"DELETE {call.type}"), backend.site.config.base, backend.rids, conditions(call))
    wrote, headers = await run(call, writes, alone=True)
    return deleted(wrote[0], headers)
