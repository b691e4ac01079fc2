"""The door through which commands of the same machine reach the gateway that holds the database (gateway/occupancy.py)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Conflict, MapError, NotFound, TransientError, YifangError
from gateway.http.bodies import Oversized, read_body
from gateway.http.problems import Problem, issue, outcome

LIMIT = 64 * 2**20
"""Largest arguments of a command in bytes."""


class Door:
    """Runs a named command with JSON arguments for whoever knows the token of `yifang.server.json`."""

    def __init__(self, token: str, execute: Callable[[str, dict[str, Any]], Any]) -> None:
        self.token = token
        self.execute = execute

    async def handle(self, request: Request, name: str) -> Response:
        """POST /commands/{name}: 200 with the command's JSON value; faults as OperationOutcome."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(token.encode(), self.token.encode()):
            raise Problem(401, "login", "命令通道只供本机的 yifang 命令使用", "This door is for yifang's own commands")
        body = await read_body(request.stream(), LIMIT)
        if isinstance(body, Oversized):
            raise Problem(413, "too-long", "命令参数过大", "Arguments too large")
        try:
            arguments = orjson.loads(body)
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            raise Problem(400, "structure", "命令参数应为一个 JSON 对象", "Arguments should be one JSON object")
        try:
            value = await asyncio.to_thread(self.execute, name, arguments)
        except YifangError as e:
            return refusal(e)
        return Response(orjson.dumps(value), media_type="application/json")


STATUSES: tuple[tuple[type[YifangError], int, str], ...] = (
    (NotFound, 404, "not-found"),
    (Conflict, 409, "conflict"),
    (TransientError, 503, "transient"),
    (YifangError, 422, "processing"),
)


def refusal(fault: YifangError) -> Response:
    """The fault as an OperationOutcome; `X-Yifang-Error` names its class, so that the command line ends with the same exit code."""
    status, code = next((s, c) for kind, s, c in STATUSES if isinstance(fault, kind))
    texts = [str(f) for f in fault.faults] if isinstance(fault, MapError) else [str(fault)]
    return outcome([issue(code, t) for t in texts], status, {"X-Yifang-Error": type(fault).__name__})
