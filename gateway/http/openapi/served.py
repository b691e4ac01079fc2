"""`GET /openapi.json`: the document as this client reaches the gateway; `type` names the types that are told in detail."""

from __future__ import annotations

import asyncio
from functools import lru_cache

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.fhir.elements import R4
from gateway.http.fhir import BASE, root_of
from gateway.http.openapi.document import document
from gateway.http.problems import Problem
from gateway.site import Site

__all__ = ["serve"]

MOST = 20
"""Types that are told in detail at once."""


async def serve(request: Request, site: Site) -> Response:
    """200 with the document. Problem 400 for a type that R4 does not have, and for too many."""
    r4 = site.indexer.r4
    types = tuple(sorted({name for text in request.query_params.getlist("type") for name in text.split(",") if name}))
    unknown = next((name for name in types if not r4.is_resource(name)), None)
    if unknown is not None:
        zh = f"FHIR R4 没有 {unknown[:64]} 这种资源; 请核对大小写"
        raise Problem(400, "not-supported", zh, f"FHIR R4 has no resource type {unknown[:64]}")
    if len(types) > MOST:
        raise Problem(400, "too-costly", f"一次最多列出 {MOST} 种资源", f"At most {MOST} types at once")
    root = root_of(request.scope, dict(request.headers)).removesuffix(BASE)
    return Response(await asyncio.to_thread(_written, root, r4, types, bool(site.config.client)), media_type="application/json")


@lru_cache(maxsize=16)
def _written(root: str, r4: R4, types: tuple[str, ...], tokens: bool) -> bytes:
    return orjson.dumps(document(root, r4, types, tokens=tokens))
