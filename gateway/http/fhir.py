"""`/fhir/…`: a plain ASGI application, since a router with dependency injection costs more than a read does.

It reads the body up to the limit, finds the format and the handler, and dresses the answer; every fault is an OperationOutcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.types import Receive, Scope, Send

from gateway.errors import Refused
from gateway.http import problems
from gateway.http.answering import refusal, too_deep
from gateway.http.backend import Backend
from gateway.http.bodies import Oversized, read_body
from gateway.http.call import Call, Reply
from gateway.http.callers import Caller
from gateway.http.negotiate import dressed, wanted
from gateway.http.problems import Problem, told
from gateway.http.registry import registry
from gateway.http.router import route
from gateway.http.shaping import shaped
from gateway.log import logger

__all__ = ["BASE", "Fhir", "answer"]

BASE = "/fhir"
WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Fhir:
    """The FHIR API of one site."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.limit = backend.site.config.http.max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller, headers: dict[str, str], request_id: str) -> int:
        """Answers one request; the status."""
        call = self._call(scope, caller, headers, request_id)
        try:
            if call.method in WITH_BODY:
                call.body = await self._body(receive)
            reply, content, media = await answer(call)
        except Problem as e:
            reply, content, media = refused(call, e)
        except self.backend.away as e:
            logger("http").error("store away", exc_info=e)
            reply, content, media = refused(call, problems.store_away())
        finally:
            scope["fhir_shape"] = call.shape
        await respond(send, reply, content, media, call.method == "HEAD", request_id)
        return reply.status

    def _call(self, scope: Scope, caller: Caller, headers: dict[str, str], request_id: str) -> Call:
        path = scope["path"][len(BASE) :].strip("/")
        query = scope["query_string"]
        client = scope.get("client")
        return Call(
            self.backend,
            caller,
            scope["method"],
            root_of(scope, headers),
            tuple(unquote(path).split("/") if "%" in path else path.split("/")) if path else (),
            parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else [],
            headers,
            peer=client[0] if client else "",
            request_id=request_id,
        )

    async def _body(self, receive: Receive) -> bytes:
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body"):
            body = first.get("body", b"")
            if len(body) <= self.limit:
                return bytes(body)
            raise _too_large(self.limit)
        found = await read_body(_chunks(first, receive), self.limit)
        if isinstance(found, Oversized):
            raise _too_large(self.limit)
        return found


def _too_large(limit: int) -> Problem:
    zh = f"请求体超过上限 {limit} 字节, 未写入; 请拆小, 或请管理员调高 http.max_body"
    return Problem(413, "too-long", zh, f"The body is above the limit of {limit} bytes; nothing was written")


async def _chunks(first: Any, receive: Receive) -> AsyncIterator[bytes]:
    message = first
    while True:
        if message["type"] == "http.disconnect":
            raise Problem(400, "incomplete", "请求体没有传完, 未写入; 请重发", "The body was cut off; nothing was written")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
        message = await receive()


async def answer(call: Call) -> tuple[Reply, bytes, str]:
    """The reply to a call with its body and Content-Type. Raises Problem."""
    format_ = wanted(call)
    try:
        handle = route(call)
        later = call.respond_async and handle in registry().lasting and call.method != "HEAD"
        reply = await (call.backend.tasks.accept(call, handle) if later else handle(call))
        reply = shaped(call, reply)
    except Refused as e:
        raise refusal(e) from None
    except RecursionError:
        raise too_deep() from None
    content, media = dressed(call, reply, format_)
    return reply, content, media


def refused(call: Call, problem: Problem) -> tuple[Reply, bytes, str]:
    """The reply to a problem, in the format that the client takes; JSON when it takes none."""
    reply = Reply(problem.status, told(problem, call.language), dict(problem.headers))
    try:
        content, media = dressed(call, reply, wanted(call))
    except Problem:
        content, media = reply.content, f"{problems.FHIR_JSON}; charset=utf-8"
    return reply, content, media


async def respond(send: Send, reply: Reply, content: bytes, media: str, head: bool, request_id: str) -> None:
    """Sends an answer."""
    headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in reply.headers.items()]
    if content or media:
        headers.append((b"content-type", media.encode("latin-1")))
    if reply.status not in (204, 304):
        headers.append((b"content-length", str(len(content)).encode()))
    headers.append((b"x-request-id", request_id.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})


def root_of(scope: Scope, headers: dict[str, str]) -> str:
    """Absolute base as the client reaches it. HTTP listens on loopback only, so who forwards is this machine's own proxy."""
    scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip() or scope.get("scheme", "http")
    host = headers.get("x-forwarded-host", "").partition(",")[0].strip() or headers.get("host", "")
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    return f"{scheme}://{host}{prefix}{BASE}"
