"""The meta of a resource, or the sum of those of a type or of everything: profiles, tags and security labels.

https://hl7.org/fhir/R4/resource-operation-meta.html
"""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.fhir.json import decode, encode
from gateway.http.call import Call, Reply
from gateway.http.parameters import named_values
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.stored import current
from gateway.store import metas
from gateway.store.search import Searcher
from gateway.store.search.guard import Limits

__all__ = ["meta_reply", "said"]

Body = dict[str, Any]
LISTS = ("profile", "security", "tag")
UNHURRIED = Limits(rows=1 << 40, seconds=600.0)
"""A value that no resource carries any more is looked for in all of them, once."""


@operation("meta", "system", "type", "instance", definition="http://hl7.org/fhir/OperationDefinition/Resource-meta", lasting=True)
async def meta(call: Call) -> Reply:
    """200 with Parameters whose `return` is the current meta, of a type or of everything what is in use; 404 or 410 when there is no such
    resource."""
    if not call.id:
        return meta_reply(await asyncio.to_thread(_in_use, call))
    _, _, content = await current(call)
    return meta_reply(decode(content)["meta"])


def _in_use(call: Call) -> Body:
    """The sum of the metas of a type, or of all of them."""
    backend = call.backend
    types = [call.type] if call.type else backend.reads.types()
    metas.look_through(backend.database, types)
    return metas.in_use(backend.database, Searcher(backend.site.indexer, limits=UNHURRIED), types, call.scope)


def meta_reply(meta: Body) -> Reply:
    """A meta as the operations answer it; Parameters without one when there is nothing in it, since R4 has no empty values."""
    return Reply(200, encode({"resourceType": "Parameters"} | ({"parameter": [{"name": "return", "valueMeta": meta}]} if meta else {})))


def said(call: Call) -> Body:
    """The meta that the request gives. Problem 400 when it gives none, or one with other than profiles, tags and labels."""
    value = next((v for name, v in named_values(call) if name == "meta"), None)
    if not isinstance(value, dict) or not any(isinstance(value.get(name), list) for name in LISTS):
        zh = f"${call.operation} 需要参数 meta(valueMeta, 含 profile、tag 或 security)"
        raise Problem(
            400, "required", zh, f"${call.operation} needs the parameter meta (valueMeta with profile, tag or security)", "Parameters.parameter"
        )
    return {name: value[name] for name in LISTS if isinstance(value.get(name), list)}
