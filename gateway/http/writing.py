"""From an interaction to the writer and back: the same way for a single write and for a Bundle."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from gateway.fhir.json import encode
from gateway.http.addresses import localised
from gateway.http.call import Call, Reply
from gateway.http.problems import Problem, issue
from gateway.http.subscriptions import admit
from gateway.http.versions import etag, stamped
from gateway.store.api.asks import Ask, Denied, Origin, Wrote
from gateway.store.api.conditions import Conditions
from gateway.store.api.once import Once
from gateway.store.api.writes import Replayed, Writes
from gateway.store.work import Work

__all__ = ["denied", "origin_of", "run", "told_of", "write", "writes_of"]

LONGEST_KEY = 255
CHANGED = {"created": 201, "updated": 200, "unchanged": 200, "found": 200}


def origin_of(call: Call, name: str) -> Origin:
    """Where a write comes from. name: what a person finds the message by, e.g. `POST Observation`; no id, no query."""
    caller = call.caller
    return Origin(
        caller.client,
        caller.organisation,
        name,
        call.peer,
        call.header("content-type"),
        call.body,
        hashlib.sha256(call.body).hexdigest() if call.body else "",
        call.backend.site.config.store.chunk,
    )


async def run(call: Call, writes: Writes, *, alone: bool = False) -> tuple[list[Wrote], dict[str, str]]:
    """Writes the asks in one transaction; what was written, and headers of the answer. Problem when they are denied. alone: in a
    transaction that no other request shares."""
    writes.once = keyed(call)
    answer = await call.backend.write(Work(command=writes, joins=not alone))
    result: list[Wrote] | Denied | Replayed = answer.value
    if isinstance(result, Denied):
        raise denied(result)
    if isinstance(result, Replayed):
        return await call.backend.reading(lambda: [_whole(call, w) for w in result.wrote]), {"Idempotent-Replay": "true"}
    return result, {}


def writes_of(call: Call, asks: list[Ask], name: str, resolve: Conditions | None = None) -> Writes:
    """The command for these asks. name: what a person finds the message by. Problem 422 for a Subscription that cannot be served."""
    admit(call, asks)
    config = call.backend.site.config
    return Writes(asks, origin_of(call, name), config.base, call.backend.rids, resolve, closed=config.http.check_references)


def keyed(call: Call) -> Once | None:
    """The request's Idempotency-Key, bound to caller, method, address and body."""
    key = call.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        zh = f"Idempotency-Key 应为 1 到 {LONGEST_KEY} 个字符"
        raise Problem(400, "value", zh, f"Idempotency-Key should have 1 to {LONGEST_KEY} characters")
    said = "\x1f".join((call.method, *call.path, "?", *(f"{k}={v}" for k, v in call.query), call.header("if-none-exist"))).encode()
    return Once(call.caller.client, key, hashlib.sha256(said + b"\x1f" + call.body).hexdigest())


def _whole(call: Call, wrote: Wrote) -> Wrote:
    """What was written, with its content."""
    if not wrote.version:
        return wrote
    found = call.backend.reads.version(wrote.type, wrote.id, wrote.version, call.scope)
    return wrote if found is None or found[2] else replace(wrote, content=found[3])


async def write(call: Call, ask: Ask, resolve: Conditions | None = None) -> Reply:
    """One ask, and its answer."""
    ask.body = localised(call, ask.body)
    wrote, headers = await run(call, writes_of(call, [ask], f"{call.method} {call.type}", resolve), alone=resolve is not None)
    reply = told_of(call, wrote[0])
    reply.headers |= headers
    return reply


def told_of(call: Call, wrote: Wrote) -> Reply:
    """The answer to a write, as `Prefer: return` wants it (https://hl7.org/fhir/R4/http.html#ops)."""
    if wrote.how in ("deleted", "absent"):
        return _deleted(wrote)
    headers = stamped(wrote.version, wrote.time)
    status = CHANGED[wrote.how]
    if status == 201 or wrote.how == "found":
        headers["Location"] = f"{call.root}/{wrote.type}/{wrote.id}/_history/{wrote.version}"
    wish = call.prefers("return") if "prefer" in call.headers else ""
    if wish == "minimal":
        return Reply(status, b"", headers, moment=wrote.time)
    if wish == "OperationOutcome":
        return Reply(status, encode(_outcome(call, wrote)), headers, moment=wrote.time)
    return Reply(status, wrote.content, headers, moment=wrote.time)


def _deleted(wrote: Wrote) -> Reply:
    """The answer to a delete."""
    return Reply(204, headers={"ETag": etag(wrote.version)} if wrote.version else {}, moment=wrote.time)


_DONE = {
    "created": ("已新建", "Created"),
    "updated": ("已更新", "Updated"),
    "unchanged": ("内容未变, 没有新版本", "Nothing changed; no new version"),
    "found": ("已有相符的资源, 未新建", "A resource that matches exists; nothing was created"),
    "deleted": ("已删除", "Deleted"),
    "absent": ("没有可删除的内容", "There was nothing to delete"),
}


def _outcome(call: Call, wrote: Wrote) -> dict[str, Any]:
    zh, en = _DONE[wrote.how]
    text = f"{zh}: {wrote.type}/{wrote.id}" if call.language == "zh" else f"{en}: {wrote.type}/{wrote.id}"
    return {"resourceType": "OperationOutcome", "issue": [issue("informational", text, "information")]}


def denied(d: Denied) -> Problem:
    """Why a write was denied, as an answer."""
    name = f"{d.type}/{d.id}" if d.id else d.type
    status, code, zh, en = _DENIALS[d.why]
    where = f"Bundle.entry[{d.place - 1}]" if d.place else ""
    headers = {"ETag": f'W/"{d.version}"'} if d.version else {}
    return Problem(status, code, zh.format(name=name, version=d.version), en.format(name=name, version=d.version), where, headers)


_DENIALS = {
    "version": (412, "conflict", "{name} 现在是第 {version} 版, 与 If-Match 不符; 请重新读取后再改",
                "{name} is at version {version}, not the one of If-Match; read it again first"),
    "exists": (412, "conflict", "{name} 已存在(第 {version} 版), 与 If-None-Match: * 不符",
               "{name} exists (version {version}), against If-None-Match: *"),
    "many": (412, "multiple-matches", "条件匹配到多份 {name}, 不知道是哪一份; 请给出更具体的条件",
             "The criteria match more than one {name}; be more specific"),
    "unmatched": (404, "not-found", "没有符合条件的 {name}", "No {name} matches the criteria"),
    "unknown": (412, "not-found", "没有 {name}, 与 If-Match 不符", "{name} is not known, against If-Match"),
    "gone": (410, "deleted", "{name} 已删除", "{name} was deleted"),
    "replaced": (409, "conflict", "{name} 已并入另一份居民档案(见其 link), 不能再写; 请改写那一份",
                 "{name} was linked to another Patient (see its link) and cannot be written; write that one"),
    "spoken-for": (409, "conflict", "{name} 由来源系统的记录维护, 不能删除; 请在来源系统更正",
                   "{name} is kept by records of source systems and cannot be deleted; correct it there"),
    "dangling": (422, "not-found", "引用的 {name} 不存在(http.check_references 已开启); 请先写入它, 或与它同放一个事务",
                 "{name} is referred to and does not exist (http.check_references is on); write it first, or in the same transaction"),
    "twice": (400, "duplicate", "同一事务里 {name} 出现了两次; 请合并为一条", "{name} stands twice in one transaction"),
    "key-reused": (422, "business-rule", "这个 Idempotency-Key 已用于另一个请求; 新的请求请用新的键",
                   "This Idempotency-Key came with another request; use a new key for a new request"),
    "id-differs": (400, "invalid", "请求体的 id 与条件匹配到的 {name} 不符", "The body's id is not that of the match, {name}"),
}  # fmt: skip
