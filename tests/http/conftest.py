"""A running site behind the HTTP application, with the built-in maps and one source of village posts."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from starlette.types import ASGIApp

from gateway.cli.context import adapters
from gateway.config import parse
from gateway.http.app import create_app
from gateway.http.commands import Door
from gateway.site import Site
from tests.records.county import fresh_schema
from tests.village import AUTHORITY, ORGANISATION, body

MAX_BODY = 64 * 1024
SOURCE = {
    "name": "village-posts",
    "adapter": "restjson",
    "profiles": ["village_reading/village_post"],
    "authority": AUTHORITY,
    "organisation": ORGANISATION,
}
POSTGRES = os.environ.get("YIFANG_TEST_POSTGRES", "")
ENGINES = ["sqlite", *([pytest.param("postgresql", marks=pytest.mark.postgres)] if POSTGRES else [])]
Content = bytes | AsyncIterator[bytes]
Opened = Callable[..., "Front"]


class Front:
    """The application of one site, as a client sees it."""

    def __init__(self, site: Site, app: ASGIApp, unready: list[str]) -> None:
        self.site, self.app, self.unready = site, app, unready

    def call(self, method: str, path: str, content: Content = b"", **headers: str) -> httpx.Response:
        """One request; a header's name is written with underscores. A bug in the application is an answer here, as for a client."""
        return self.together([(method, path, content, headers)])[0]

    def together(self, requests: Sequence[tuple[str, str, Content, dict[str, str]]]) -> list[httpx.Response]:
        """Requests that are all on their way before the first is answered."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
                calls = [client.request(m, p, content=c, headers={k.replace("_", "-"): v for k, v in h.items()}) for m, p, c, h in requests]
                return list(await asyncio.gather(*calls))

        return asyncio.run(send())

    def write(self, method: str, path: str, resource: Any, **headers: str) -> httpx.Response:
        """One request with a resource as JSON."""
        return self.call(method, path, msgspec.json.encode(resource), **{"Content_Type": "application/fhir+json", **headers})

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


@pytest.fixture(scope="module", params=ENGINES)
def api(request: pytest.FixtureRequest, opened: Opened) -> Front:
    """A site on either engine; tests of a module share it and use names of their own."""
    if request.param == "sqlite":
        return opened()
    fresh_schema(POSTGRES)
    return opened(store={"database": POSTGRES})


@contextmanager
def listening(front: Front) -> Iterator[str]:
    """The application behind a real socket, as clients of other makers reach it; its FHIR base."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(front.app, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
        finally:
            server.should_exit = True
            thread.join()
