"""The HTTP application. Handlers take and return bytes; every fault is an OperationOutcome, never a stack trace."""

from __future__ import annotations

import asyncio
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
from gateway.http.callers import Caller, Unauthorized, identify
from gateway.http.commands import Door
from gateway.http.intake import take
from gateway.http.interactions import capabilities, read, search_type
from gateway.http.problems import Problem
from gateway.log import logger
from gateway.site import Site

OPEN = frozenset({"/health", "/ready", "/metrics", "/fhir/metadata"})
"""Routes without a caller: they tell nothing of any resident."""


@dataclass(slots=True)
class State:
    """What handlers share."""

    site: Site
    ready: Callable[[], list[str]]  # reasons why not, Chinese; empty: ready
    registry: CollectorRegistry


def create_app(site: Site, ready: Callable[[], list[str]], registry: CollectorRegistry, door: Door | None = None) -> FastAPI:
    """The application over an opened site. door: lets commands of the same machine in; None: no commands over HTTP."""
    app = FastAPI(title="Yifang 医防网关", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.gateway = State(site, ready, registry)
    app.add_api_route("/health", health, methods=["GET"])
    app.add_api_route("/ready", readiness, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    app.add_api_route("/ingest/{source}", receive, methods=["POST"])
    app.add_api_route("/fhir/metadata", metadata, methods=["GET"])
    app.add_api_route("/fhir/{type_}/{id_}", read_route, methods=["GET"])
    app.add_api_route("/fhir/{type_}", search_route, methods=["GET"])
    if door is not None:
        app.add_api_route("/commands/{name}", door.handle, methods=["POST"])
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http_exception)
    for kind in (OperationalError, InterfaceError, TimeoutError):
        app.add_exception_handler(kind, on_store_away)
    app.add_middleware(Guard)  # outermost: sees every request
    return app


class Guard:
    """Identifies the caller, turns a bug into a plain 500, and writes one request line without query or body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.log = logger("http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        started = time.perf_counter()
        status = 500
        begun = False

        async def sending(message: dict[str, object]) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status = int(str(message["status"]))
                begun = True
            await send(message)

        try:
            refusal = self._admit(request)
            await (refusal or self.app)(scope, receive, sending)  # type: ignore[arg-type]  # starlette says MutableMapping[str, Any]
        except Exception as e:
            self.log.error("request failed", method=request.method, route=route_of(scope), exc_info=e)
            if not begun:
                await problems.internal(request)(scope, receive, sending)  # type: ignore[arg-type]  # starlette says MutableMapping[str, Any]
        finally:
            seconds = round(time.perf_counter() - started, 4)
            self.log.info("request", method=request.method, route=route_of(scope), status=status, seconds=seconds, client=client_of(scope))

    def _admit(self, request: Request) -> Response | None:
        if request.url.path in OPEN or request.url.path.startswith("/commands/"):
            return None
        state: State = request.app.state.gateway
        try:
            request.state.caller = identify(state.site.config.client, request.headers.get("authorization"))
        except Unauthorized:
            zh = "需要有效的访问令牌: 在 Authorization 头里写 `Bearer <令牌>`; 令牌由网关管理员用 `yifang token` 发放"
            en = "A valid bearer token is required; the operator issues one with `yifang token`"
            return problems.answer(request, Problem(401, "login", zh, en, headers={"WWW-Authenticate": 'Bearer realm="yifang"'}))
        return None


def route_of(scope: Scope) -> str:
    """The route's pattern, never the address itself: that may hold identifiers."""
    return getattr(scope.get("route"), "path", "(no route)")


def client_of(scope: Scope) -> str:
    """Name of the calling client, for the request line."""
    caller = scope.get("state", {}).get("caller")
    return caller.client if isinstance(caller, Caller) else ""


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
    return problems.away(request)


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


async def receive(request: Request, source: str) -> Response:
    """A message for a source."""
    return await take(request, state_of(request).site, source)


async def metadata(request: Request) -> Response:
    """https://hl7.org/fhir/R4/http.html#capabilities"""
    return capabilities.handle(request, state_of(request).site)


async def read_route(request: Request, type_: str, id_: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#read"""
    return await asyncio.to_thread(read.handle, request, state_of(request).site, type_, id_)


async def search_route(request: Request, type_: str) -> Response:
    """https://hl7.org/fhir/R4/http.html#search"""
    return await asyncio.to_thread(search_type.handle, request, state_of(request).site, type_)
