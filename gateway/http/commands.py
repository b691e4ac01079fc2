"""The door through which commands of the same machine reach the gateway that holds the database (gateway/occupancy.py)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Conflict, MapError, NotFound, YifangError
from gateway.http.problems import Problem, issue, outcome

LIMIT = 64 * 2**20


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
        body = await request.body()
        if len(body) > LIMIT:
            raise Problem(413, "too-long", "命令参数过大", "Arguments too large")
        try:
            value = await asyncio.to_thread(self.execute, name, orjson.loads(body))
        except YifangError as e:
            status, code = (404, "not-found") if isinstance(e, NotFound) else (409, "conflict") if isinstance(e, Conflict) else (422, "processing")
            texts = [str(f) for f in e.faults] if isinstance(e, MapError) else [str(e)]
            return outcome([issue(code, t) for t in texts], status)
        return Response(orjson.dumps(value), media_type="application/json")
