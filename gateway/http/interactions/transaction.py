"""Requests in one Bundle that are all done, or none is.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.http.addresses import bases, relative
from gateway.http.call import Call, Reply
from gateway.http.criteria import canonical, conditions, find_now
from gateway.http.entries import Entry, answered, entries_of, response
from gateway.http.interactions.batch import batch, one
from gateway.http.interactions.conditional_delete import conditional_delete, conditional_delete_of
from gateway.http.interactions.conditional_update import conditional_update, conditional_update_of
from gateway.http.interactions.create import create, create_of
from gateway.http.interactions.delete import delete, delete_of
from gateway.http.interactions.patch import TRIES, conditional_patch, patch, patch_of
from gateway.http.interactions.update import update, update_of
from gateway.http.negotiate import parsed
from gateway.http.placeholders import conditional_references, rewritten
from gateway.http.problems import Problem
from gateway.http.registry import Handler, interaction
from gateway.http.router import route
from gateway.http.writing import denied, run, told_of, writes_of
from gateway.store.api.asks import Ask
from gateway.store.api.conditions import twice

LARGE = 1 << 16
"""Bytes of a body that is decoded in a thread: the event loop answers others, senders of HL7 v2 among them."""
PACE = 20
"""Entries that are checked before others get their turn."""
Asking = Callable[[Call], Ask]
ASKS: dict[Handler, Asking] = {
    create: create_of,
    update: update_of,
    delete: delete_of,
    conditional_update: conditional_update_of,
    conditional_delete: conditional_delete_of,
}


@dataclass(slots=True)
class Plan:
    """What a transaction comes to. asks: of the entries that write, in their order. links: placeholder -> which ask. reads: the others."""

    entries: list[Entry]
    asks: list[Ask] = field(default_factory=list)
    links: dict[str, int] = field(default_factory=dict)
    reads: list[Entry] = field(default_factory=list)


@interaction("batch", "system", "POST", "", lasting=True)
@interaction("transaction", "system", "POST", "", lasting=True)
async def bundle(call: Call) -> Reply:
    """200 with a Bundle of answers in the order of the entries. A transaction's fault is told with its entry, and nothing was written."""
    body = await asyncio.to_thread(parsed, call) if len(call.body) > LARGE else parsed(call)
    if body.get("resourceType") != "Bundle" or body.get("type") not in ("batch", "transaction"):
        zh = "此地址只收 type 为 batch 或 transaction 的 Bundle"
        raise Problem(400, "invalid", zh, "Only a Bundle of type batch or transaction is taken here", "Bundle.type")
    return await (transaction(call, body) if body["type"] == "transaction" else batch(call, body))


async def transaction(call: Call, body: dict[str, Any]) -> Reply:
    """All of it in one commit: DELETE, POST, PUT and PATCH, then the reads. Where only a patch lost against somebody's change, again."""
    for attempt in range(TRIES):
        entries = entries_of(call, body)
        try:
            return await _once(call, entries)
        except Problem as fault:
            patched = any(e.call.method == "PATCH" and "if-match" not in e.call.headers for e in entries)
            if fault.status != 412 or fault.code != "conflict" or not patched or attempt == TRIES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _once(call: Call, entries: Sequence[Entry]) -> Reply:
    plan = await planned(entries)
    names = await _conditional(call, plan)
    decides = any(a.criteria for a in plan.asks)
    if decides:
        resolve = conditions(call)
        resolve.links, resolve.rewrite = plan.links, lambda value, own: _linked(call, value, {**names, **own})
    else:
        resolve = None
        names |= {text: f"{plan.asks[n].type}/{plan.asks[n].id}" for text, n in plan.links.items()}
        for n, ask in enumerate(plan.asks):
            if n % PACE == PACE - 1:
                await asyncio.sleep(0)
            ask.body = _linked(call, ask.body, names)
        overlap = twice(plan.asks)
        if overlap is not None:
            raise denied(overlap)
    answers: dict[int, bytes] = {}
    headers: dict[str, str] = {}
    if plan.asks:
        wrote, headers = await run(call, writes_of(call, plan.asks, "POST Bundle", resolve), alone=decides)
        whole = call.prefers("return") == "representation"
        for ask, w in zip(plan.asks, wrote, strict=True):
            answers[ask.place - 1] = response(call, told_of(call, w), resource=whole)
    for entry in plan.reads:
        answers[entry.at] = await one(entry.call)
    reply = answered("transaction-response", [answers[n] for n in range(len(plan.entries))])
    reply.headers |= headers
    return reply


def _linked(call: Call, body: Any, names: Mapping[str, str]) -> Any:
    """A resource with references in place of what its Bundle calls them. A placeholder may look like an address here."""
    own = bases(call)
    return rewritten(body, lambda text: names[text] if text in names else relative(own, text))


async def planned(entries: Sequence[Entry]) -> Plan:
    """Asks and reads of the entries. Problem of the first entry that cannot be done, with its place."""
    plan = Plan(list(entries))
    for entry in entries:
        if entry.at % PACE == PACE - 1:
            await asyncio.sleep(0)  # others are served between the checks of a large Bundle
        try:
            ask = await ask_of(entry.call)
        except Problem as fault:
            raise placed(fault, entry.at) from None
        if ask is None:
            plan.reads.append(entry)
            continue
        ask.place = entry.at + 1
        for text in _called(entry, ask):
            plan.links.setdefault(text, len(plan.asks))
        plan.asks.append(ask)
    return plan


async def ask_of(call: Call) -> Ask | None:
    """What an entry asks to be written; None for one that reads."""
    handle = route(call)
    if handle in (patch, conditional_patch):
        return await patch_of(call)
    asking = ASKS.get(handle)
    if asking is not None:
        return asking(call)
    if call.method in ("GET", "HEAD"):
        return None
    zh, en = "事务里只能有资源的读写, 不能有这种请求", "A transaction holds reads and writes of resources, not this kind of request"
    raise Problem(400, "not-supported", zh, en)


def placed(fault: Problem, at: int) -> Problem:
    """The same fault with the place of its entry. 405 would say that Bundles are not taken here (RFC 9110 §15.5.6): it is a 400."""
    text = fault.text
    findings = [replace(f, target=_within(at, f.target)) for f in fault.findings]
    zh, en = f"第 {at + 1} 条: {text.zh}", f"Entry {at + 1}: {text.en}"
    status, headers = (400, {}) if fault.status == 405 else (fault.status, fault.headers)
    return Problem(status, fault.code, zh, en, _within(at, fault.expression), headers, findings)


def _within(at: int, expression: str) -> str:
    """`Observation.status` of an entry's resource, seen from the Bundle."""
    rest = expression.partition(".")[2]
    return f"Bundle.entry[{at}]" + (f".resource.{rest}" if rest else "")


def _called(entry: Entry, ask: Ask) -> list[str]:
    """What other entries may call this one's resource."""
    names = [entry.full_url] if entry.full_url else []
    if ask.minted and not entry.full_url.startswith("urn:") and entry.full_url:
        names.append("/".join(entry.full_url.split("/")[-2:]))
    elif ask.minted and entry.call.resource is not None and isinstance(own := entry.call.resource.get("id"), str):
        names.append(f"{ask.type}/{own}")
    return names


async def _conditional(call: Call, plan: Plan) -> dict[str, str]:
    """Reference that is a search -> `Type/id`; one whose criteria are those of an entry is a placeholder of that entry."""
    own = {(a.type, a.criteria): n for n, a in enumerate(plan.asks) if a.criteria}
    names: dict[str, str] = {}
    for ask in plan.asks:
        for text, type_, criteria in conditional_references(ask.body) if ask.body is not None else ():
            if text in names or text in plan.links:
                continue
            wanted = canonical(criteria)
            if (type_, wanted) in own:
                plan.links[text] = own[type_, wanted]
                continue
            ids = await find_now(call, type_, wanted)
            if len(ids) != 1:
                zh = f"条件引用 {type_} 应恰好匹配一份资源, 实际{'没有' if not ids else '多于一份'}"
                en = f"A conditional reference to {type_} should match one resource; it matches {'none' if not ids else 'several'}"
                raise placed(Problem(412, "not-found" if not ids else "multiple-matches", zh, en), ask.place - 1)
            names[text] = f"{type_}/{ids[0]}"
    return names
