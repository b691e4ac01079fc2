"""Adds profiles, tags and security labels to a resource.

https://hl7.org/fhir/R4/resource-operation-meta-add.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.fhir.json import decode
from gateway.http.call import Call, Reply
from gateway.http.interactions.patch import TRIES
from gateway.http.operations.meta import meta_reply, said
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.resources import checked
from gateway.http.stored import current
from gateway.http.writing import write
from gateway.store.api.asks import Ask

__all__ = ["changed", "same"]

Body = dict[str, Any]


@operation("meta-add", "instance", affects=True, definition="http://hl7.org/fhir/OperationDefinition/Resource-meta-add")
async def meta_add(call: Call) -> Reply:
    """200 with the meta as it is then; the change is a version of the resource. What is there already is not added again."""
    more = said(call)

    def add(meta: Body) -> Body:
        return meta | {k: [*meta.get(k, ()), *(v for v in values if not any(same(v, o) for o in meta.get(k, ())))] for k, values in more.items()}

    return await changed(call, add)


async def changed(call: Call, change: Callable[[Body], Body]) -> Reply:
    """Writes the resource with its meta changed; again when somebody else changed it meanwhile."""
    for attempt in range(TRIES):
        version, _, content = await current(call)
        body = decode(content)
        ask = Ask("update", call.type, call.id, checked(body | {"meta": change(body["meta"])}), version)
        try:
            await write(call, ask)
            return meta_reply(decode((await current(call))[2])["meta"])
        except Problem as fault:
            if fault.status != 412 or attempt == TRIES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def same(a: Any, b: Any) -> bool:
    """Whether two profiles are equal, or two codings have one system and code."""
    if isinstance(a, dict) and isinstance(b, dict):
        return (a.get("system"), a.get("code")) == (b.get("system"), b.get("code"))
    return bool(a == b)
