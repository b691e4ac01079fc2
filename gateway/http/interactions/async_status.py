"""How an asynchronous request stands, and its answer when there is one.

https://hl7.org/fhir/R4/async.html
"""

from __future__ import annotations

import asyncio

from gateway.http.answering import failed
from gateway.http.asynchronous import SECOND, bundled, retry_after
from gateway.http.call import ADDRESS, Call, Reply
from gateway.http.entries import response
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.versions import last_modified
from gateway.store import jobs

__all__ = ["async_status", "nothing"]


@interaction("", "system", "GET", f"{ADDRESS}/i")
async def async_status(call: Call) -> Reply:
    """202 with X-Progress and Retry-After while it is in work; then 200 with a batch-response Bundle, whose one entry is what the request would
    have been answered at once, a fault as well. 404 for one that is unknown, cancelled, another caller's, or past its time."""
    database, now = call.backend.database, call.backend.tasks.now
    job = await asyncio.to_thread(jobs.find, database, call.id, call.caller.client, now)
    if job is None:
        raise nothing()
    if job.state == "running":
        progress = job.progress or f"in work for {(now - job.begun) // SECOND} s"
        return Reply(202, headers={"X-Progress": progress, "Retry-After": retry_after(job, now)})
    headers = {"Expires": last_modified(job.expires)}
    if job.state == "interrupted":
        return Reply(200, bundled(response(call, failed(call, _interrupted()), resource=True)), headers, shaped=True)
    content = await asyncio.to_thread(lambda: b"".join(jobs.content(database, job.id, "")))
    return Reply(200, content, headers, shaped=True)


def nothing() -> Problem:
    """404: there is no such request, for this caller."""
    zh = "没有这个异步请求: 地址有误、已取消, 或结果已过保存期(http.async_hours); 请重新发起"
    return Problem(404, "not-found", zh, "No such asynchronous request: unknown, cancelled, or past its time (http.async_hours); send it again")


def _interrupted() -> Problem:
    """503: the process that worked at it ended before the answer was kept."""
    zh = "网关在执行中停止, 没有留下结果; 请重新发起。写入的请求可能已经写入: 带上原来的 Idempotency-Key 重发, 或先读取核对"
    en = "The gateway stopped while this was in work, and there is no answer; send it again. What writes may have been written: repeat it with "
    return Problem(503, "transient", zh, en + "its Idempotency-Key, or read first")
