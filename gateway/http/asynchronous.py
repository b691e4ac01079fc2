"""Requests that are answered later: `Prefer: respond-async` (https://hl7.org/fhir/R4/async.html; what is answered in the end as R5 has it,
https://hl7.org/fhir/R5/async-bundle.html: a batch-response with one entry, R4 leaves that open).

What is asked runs as a task of this process, and its answer is kept in the database (gateway/store/jobs.py).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import orjson

from gateway.clock import Clock
from gateway.http.answering import failed, settled
from gateway.http.call import ADDRESS, Call, Reply
from gateway.http.entries import answered, response
from gateway.http.problems import Problem, internal, issue, store_away
from gateway.http.registry import Handler
from gateway.log import logger
from gateway.store import jobs
from gateway.store.deliveries import micro
from gateway.store.jobs import Bounds, Job

if TYPE_CHECKING:
    from gateway.site import Site

__all__ = ["SECOND", "Tasks", "bundled", "retry_after"]

REQUEST = "request"
"""Kind of the jobs that are requests."""
SECOND = 1_000_000
BEAT, LEASE = 10.0, 60 * SECOND
"""Seconds between two signs of life of a request in work, and µs after the last one at which it counts as interrupted."""
LONGEST_PAUSE = 30


class Tasks:
    """The asynchronous requests that this process works at."""

    def __init__(self, site: Site) -> None:
        self.database = site.database
        self.clock: Clock = site.clock
        self.chunk = site.config.store.chunk
        http = site.config.http
        self.bounds = Bounds(http.async_running, http.async_kept, int(http.async_hours * 3600 * SECOND))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        site.database.closing.append(self.close)

    @property
    def now(self) -> int:
        """µs since the epoch."""
        return micro(self.clock.now())

    async def accept(self, call: Call, handle: Handler) -> Reply:
        """202 with the address that tells how the request stands. Problem 429 when the caller has too many in work."""
        id_, now = secrets.token_hex(16), self.now
        client = call.caller.client
        if not await asyncio.to_thread(jobs.begin, self.database, (id_, REQUEST), client, now, now + LEASE, self.bounds):
            most = self.bounds.running
            zh = f"已有 {most} 个异步请求在执行, 达到每个调用方的上限; 请等其中之一完成, 或用 DELETE 取消"
            en = f"{most} asynchronous requests of this client are in work, as many as it may have; wait for one, or DELETE one"
            raise Problem(429, "throttled", zh, en, headers={"Retry-After": "5"})
        task = self._tasks[id_] = asyncio.create_task(self._work(id_, call, handle))
        task.add_done_callback(lambda _: self._tasks.pop(id_, None))
        place = f"{call.root}/{ADDRESS}/{id_}"
        text = f"已受理; 进度与结果见 {place}" if call.language == "zh" else f"Accepted; progress and outcome: {place}"
        told = orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue("informational", text, "information")]})
        return Reply(202, told, {"Content-Location": place, "Preference-Applied": "respond-async"}, shaped=True)

    def cancel(self, id_: str) -> None:
        """Stops the work at a request, if it is done here; what was handed to the writer already is written."""
        task = self._tasks.get(id_)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Stops all work; who asked is told that it was interrupted."""
        for task in list(self._tasks.values()):
            loop = task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

    async def _work(self, id_: str, call: Call, handle: Handler) -> None:
        """Answers the request and keeps the answer; says meanwhile that it is at work."""
        answering = asyncio.create_task(_entry(call, handle))
        try:
            while not (await asyncio.wait([answering], timeout=BEAT))[0]:
                if not await asyncio.to_thread(jobs.renew, self.database, id_, self.now + LEASE):
                    return
            await asyncio.to_thread(self._keep, id_, bundled(answering.result()))
        except Exception as e:
            logger("http").error("answer not kept", exc_info=e)
        finally:
            answering.cancel()

    def _keep(self, id_: str, content: bytes) -> None:
        for n, start in enumerate(range(0, len(content), self.chunk)):
            jobs.add(self.database, id_, "", n, content[start : start + self.chunk])
        jobs.finish(self.database, id_, self.now)


async def _entry(call: Call, handle: Handler) -> bytes:
    """The entry that answers the request: what it would have been answered at once, or the fault."""
    try:
        reply = await settled(call, handle)
    except call.backend.away as e:
        logger("http").error("store away", exc_info=e)
        reply = failed(call, store_away())
    except Exception as e:
        logger("http").error("request failed", request_id=call.request_id, exc_info=e)
        reply = failed(call, internal())
    return response(call, reply, resource=True)


def bundled(entry: bytes) -> bytes:
    """The Bundle that holds the answer to one request."""
    return answered("batch-response", [entry]).content


def retry_after(job: Job, now: int) -> str:
    """Seconds after which to ask again: the longer it takes, the longer."""
    return str(min(max((now - job.begun) // SECOND // 2, 1), LONGEST_PAUSE))
