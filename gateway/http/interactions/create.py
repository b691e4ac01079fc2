"""A new resource under an id that the server allots; with If-None-Exist only when nothing matches.

https://hl7.org/fhir/R4/http.html#create
"""

from __future__ import annotations

from urllib.parse import urlencode

from gateway.http.call import Call, Reply
from gateway.http.criteria import CONTROLS, canonical, conditions, fetch, find_now
from gateway.http.ids import allot
from gateway.http.registry import interaction
from gateway.http.resources import resource_of
from gateway.http.writing import denied, told_of, write
from gateway.store.api.asks import Ask, Denied


@interaction("create", "type", "POST", "T")
async def create(call: Call) -> Reply:
    """201 with Location, ETag and Last-Modified; an id in the body is not kept. With If-None-Exist 200 and the one that matches, 412 when
    several do (https://hl7.org/fhir/R4/http.html#ccreate)."""
    ask = create_of(call)
    if not ask.criteria:
        return await write(call, ask)
    if "idempotency-key" not in call.headers:
        known = await _known(call, ask.criteria)
        if known is not None:
            return known
    return await write(call, ask, conditions(call))


def create_of(call: Call) -> Ask:
    """What the request asks for. Criteria in the address mean the same as If-None-Exist: some clients send them there (fhirpy's
    `get_or_create`), and what was passed over would make a duplicate."""
    wanted = call.headers.get("if-none-exist")
    if wanted is None and any(name not in CONTROLS for name, _ in call.query):
        wanted = urlencode(call.query)
    return Ask("create", call.type, allot(), resource_of(call), minted=True, criteria="" if wanted is None else canonical(wanted))


async def _known(call: Call, criteria: str) -> Reply | None:
    """What exists already is answered without the writer; None when it must decide."""
    ids = await find_now(call, call.type, criteria)
    if len(ids) > 1:
        raise denied(Denied("many", call.type))
    found = await call.backend.reading(lambda: fetch(call, call.type, ids[0])) if ids else None
    return told_of(call, found) if found is not None else None
