"""The codes of a value set.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from gateway.fhir.json import encode
from gateway.http.call import Call, Reply
from gateway.http.parameters import given
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.terms import Terminology, asked_url
from gateway.store.index.folding import normalised

MOST = 1000
"""Codes in one answer; more is paged by `offset`."""


@operation("expand", "type", "instance", types=("ValueSet",), definition="http://hl7.org/fhir/OperationDefinition/ValueSet-expand")
async def expand(call: Call) -> Reply:
    """200 with the ValueSet and its expansion: codes in order, those whose code or display holds `filter`, from `offset` on, at most `count`. 404
    when it, or something that it includes, is not known here."""
    asked = dict(given(call))
    url = await asked_url(call)
    offset, count = _whole(asked, "offset", 0), min(_whole(asked, "count", MOST), MOST)
    held, codes = await asyncio.to_thread(_codes, call, url)
    wanted = normalised(asked.get("filter", ""))
    found = [c for c in codes if wanted in normalised(c["code"]) or wanted in normalised(c.get("display", ""))]
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{uuid.uuid4()}",
        "timestamp": call.backend.site.clock.now().isoformat(timespec="milliseconds"),
        "total": len(found),
        "offset": offset,
    }
    if shown := found[offset : offset + count]:
        expansion["contains"] = shown
    return Reply(200, encode({k: v for k, v in held.items() if k not in ("compose", "expansion")} | {"expansion": expansion}))


def _codes(call: Call, url: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The value set without its codes, and its codes with their displays, by system and code."""
    with call.backend.database.engine.connect() as connection:
        terms = Terminology(call, connection)
        own = terms.displays(url)
        codes = []
        for system, code in sorted(terms.needed(url)):
            concept = None if (system, code) in own else terms.lookup(system, code)
            display = own.get((system, code)) or (concept.display if concept else "")
            codes.append({"system": system, "code": code} | ({"display": display} if display else {}))
        return terms.find("ValueSet", url) or {"resourceType": "ValueSet", "url": url, "status": "active"}, codes


def _whole(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, "")
    if text and (not text.isdecimal() or len(text) > 9):
        raise Problem(400, "value", f"{name} 应为不小于 0 的整数", f"{name} should be a whole number from 0", name)
    return int(text) if text else default
