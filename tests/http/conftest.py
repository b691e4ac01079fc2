"""A running site behind the HTTP application, with the built-in maps and one source of village posts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from gateway.cli.context import adapters
from gateway.config import parse
from gateway.http.app import create_app
from gateway.http.commands import Door
from gateway.site import Site
from tests.village import AUTHORITY, ORGANISATION, body

MAX_BODY = 64 * 1024
SOURCE = {
    "name": "village-posts",
    "adapter": "restjson",
    "profiles": ["village_reading/village_post"],
    "authority": AUTHORITY,
    "organisation": ORGANISATION,
}
Content = bytes | AsyncIterator[bytes]
Opened = Callable[..., "Front"]


class Front:
    """The application of one site, as a client sees it."""

    def __init__(self, site: Site, app: ASGIApp, unready: list[str]) -> None:
        self.site, self.app, self.unready = site, app, unready

    def call(self, method: str, path: str, content: Content = b"", **headers: str) -> httpx.Response:
        """One request; a header's name is written with underscores. A bug in the application is an answer here, as for a client."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
                return await client.request(method, path, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()})

        return asyncio.run(send())

    def post(self, content: Content, source: str = "village-posts", **headers: str) -> httpx.Response:
        """Posts a message."""
        return self.call("POST", f"/ingest/{source}", content, **headers)

    def reading(self, *readings: dict[str, Any]) -> Any:
        """Posts readings and gives the JSON answer."""
        return self.post(body(*readings)).json()

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Gets a path."""
        return self.call("GET", path, **headers)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Opens sites whose configuration has further tables; they close when the module ends."""
    with ExitStack() as stack:

        def open_(door: Door | None = None, **tables: Any) -> Front:
            folder: Path = tmp_path_factory.mktemp("site")
            raw = {"source": [SOURCE], "http": {"max_body": MAX_BODY}, "store": {"data": str(folder / "data")}} | tables
            site = Site.open(parse(raw, folder / "yifang.toml"), adapters())
            stack.callback(site.close)
            site.start()
            stack.callback(site.stop)
            unready: list[str] = []
            app = create_app(site, lambda: unready, site.gateway.metrics.registry, door)
            return Front(site, app, unready)

        yield open_


@pytest.fixture(scope="module")
def front(opened: Opened) -> Front:
    """The site that most tests share; each uses residents and readings of its own."""
    return opened()
