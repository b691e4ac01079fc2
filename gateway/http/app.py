"""The HTTP application. Handlers take and return bytes; every fault is an OperationOutcome, never a stack trace."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http import problems
from gateway.http.backend import Backend
from gateway.http.callers import DEMO, Caller, Unauthorized, identify
from gateway.http.commands import Door
from gateway.http.fhir import BASE, Fhir
from gateway.http.intake import take
from gateway.http.openapi.served import serve
from gateway.http.problems import Problem
from gateway.http.router import shape_text
from gateway.log import Lines, logger
from gateway.site import Site

OPEN = frozenset({"/health", "/ready", "/metrics", "/openapi.json", "/fhir/metadata"})
"""Routes without a caller: they tell nothing of any resident."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
"""What is taken over of a client's X-Request-ID; anything else could carry what must not stand in a log."""


@dataclass(slots=True)
class State:
    """What handlers share."""

    site: Site
    ready: Callable[[], list[str]]  # reasons why not, Chinese; empty: ready
    registry: CollectorRegistry


def create_app(site: Site, ready: Callable[[], list[str]], registry: CollectorRegistry, door: Door | None = None) -> ASGIApp:
    """The application over an opened site. door: lets commands of the same machine in; None: no commands over HTTP."""
    app = FastAPI(title="Yifang 医防网关", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.gateway = State(site, ready, registry)
    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/ready", readiness, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    app.add_api_route("/openapi.json", described, methods=["GET"])
    app.add_api_route("/ingest/{source}", receive, methods=["POST"])
    if door is not None:
        app.add_api_route("/commands/{name}", door.handle, methods=["POST"])
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http_exception)
    for kind in (OperationalError, InterfaceError, TimeoutError):
        app.add_exception_handler(kind, on_store_away)
    app.add_exception_handler(Exception, on_bug)
    return Guard(app, Fhir(Backend(site)), site)


class Guard:
    """Sees every request first: identifies the caller, turns a bug into a plain 500, and writes one line without query or body."""

    def __init__(self, app: ASGIApp, fhir: Fhir, site: Site) -> None:
        self.app = app
        self.fhir = fhir
        self.clients = site.config.client
        self.log = logger("http")
        self.lines = Lines("http", "request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        answering = Answering(send, request_id)
        caller = None
        try:
            caller = self._caller(scope, headers)
            if isinstance(caller, Problem):
                await problems.answer(Request(scope), caller)(scope, receive, answering)
            elif scope["path"].startswith(BASE) and scope["path"][len(BASE) : len(BASE) + 1] in ("", "/"):
                answering.status = await self.fhir(scope, receive, send, caller, headers, request_id)
            else:
                scope.setdefault("state", {})["caller"] = caller
                await self.app(scope, receive, answering)
        except Exception as e:
            answering.status = 500
            self.log.error("request failed", method=scope["method"], route=route_of(scope), request_id=request_id, exc_info=e)
            if not answering.begun:
                await problems.answer(Request(scope), problems.internal())(scope, receive, answering)
        finally:
            seconds = round(time.perf_counter() - started, 4)
            client = caller.client if isinstance(caller, Caller) else ""
            self.lines.info(
                method=scope["method"], route=route_of(scope), status=answering.status, seconds=seconds, client=client, request_id=request_id
            )

    def _caller(self, scope: Scope, headers: dict[str, str]) -> Caller | Problem:
        """Who calls; a Problem 401 for nobody, where a caller is needed."""
        if not self.clients or scope["path"] in OPEN or scope["path"].startswith("/commands/"):
            return DEMO
        try:
            return identify(self.clients, headers.get("authorization"))
        except Unauthorized:
            zh = "需要有效的访问令牌: 在 Authorization 头里写 `Bearer <令牌>`; 令牌由网关管理员用 `yifang token` 发放"
            en = "A valid bearer token is required; the operator issues one with `yifang token`"
            return Problem(401, "login", zh, en, headers={"WWW-Authenticate": 'Bearer realm="yifang"'})


class Answering:
    """Passes an answer on, adds X-Request-ID, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.send = send
        self.request_id = request_id.encode("latin-1")
        self.status = 500
        self.begun = False

    async def __call__(self, message: object) -> None:
        assert isinstance(message, dict)
        if message["type"] == "http.response.start":
            self.status, self.begun = int(message["status"]), True
            message = message | {"headers": [*message.get("headers", ()), (b"x-request-id", self.request_id)]}
        await self.send(message)


def route_of(scope: Scope) -> str:
    """The route's pattern, never the address itself: that may hold identifiers."""
    shape = scope.get("fhir_shape")
    return shape_text(shape) if shape is not None else getattr(scope.get("route"), "path", "(no route)")


async def on_problem(request: Request, fault: Exception) -> Response:
    """A Problem that a handler raised."""
    assert isinstance(fault, Problem)
    return problems.answer(request, fault)


async def on_http_exception(request: Request, fault: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(fault, HTTPException)
    if fault.status_code == 405:
        return problems.wrong_method(request, (fault.headers or {}).get("Allow", "GET"))
    return problems.unknown_path(request)


async def on_store_away(request: Request, fault: Exception) -> Response:
    """The database does not answer. The fault's own text is not told: it quotes the statement and its parameters."""
    logger("http").error("store away", exc_info=fault)
    return problems.answer(request, problems.store_away())


async def on_bug(request: Request, _fault: Exception) -> Response:
    """A bug outside FHIR, in the words that every fault has; Starlette raises it again behind the answer, and the Guard logs it."""
    return problems.answer(request, problems.internal())


def state_of(request: Request) -> State:
    """What handlers share."""
    state: State = request.app.state.gateway
    return state


async def health(request: Request) -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def readiness(request: Request) -> Response:
    """Whether messages can be accepted now; 503 with the reasons when not."""
    reasons = await asyncio.to_thread(state_of(request).ready)
    body = {"status": "ready"} if not reasons else {"status": "not ready", "reasons": reasons}
    return Response(orjson.dumps(body), 503 if reasons else 200, media_type="application/json")


async def metrics(request: Request) -> Response:
    """Prometheus exposition."""
    text = await asyncio.to_thread(generate_latest, state_of(request).registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def described(request: Request) -> Response:
    """The OpenAPI document."""
    return await serve(request, state_of(request).site)


async def receive(request: Request, source: str) -> Response:
    """A message for a source."""
    return await take(request, state_of(request).site, source)
