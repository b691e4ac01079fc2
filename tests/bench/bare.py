"""A bare ASGI handler that answers the same bytes to every request: the floor that a read is held against.

python -m tests.bench.bare PORT FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn


def app(content: bytes) -> Any:
    """The application."""
    headers = [(b"content-type", b"application/fhir+json; charset=utf-8"), (b"content-length", str(len(content)).encode())]

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    return handler


if __name__ == "__main__":
    uvicorn.run(app(Path(sys.argv[2]).read_bytes()), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off")
