"""JSON posts of village doctors and apps: one record or a batch over HTTP. docs/adapters/restjson.md is the page for people."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict

from adapters.restjson.pointer import fault
from adapters.restjson.read import RestJsonProfileOptions, extractor
from gateway.adapter import Adapter, BaseModel, Extract, Feed, Layout


class RestJsonOptions(BaseModel):
    """[source.options] of a source with adapter = "restjson": none, the gateway's HTTP server takes its bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RestJsonAdapter:
    """JSON over HTTP. Passive: bodies come through the gateway's own HTTP server."""

    name = "restjson"
    options: type[BaseModel] = RestJsonOptions
    profile_options: type[BaseModel] = RestJsonProfileOptions

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """One function for all profiles; a record goes to the first profile whose `match` or key members it has."""
        return extractor(layouts)

    def check_locator(self, locator: str) -> str | None:
        """A locator is a member's name or a JSON pointer."""
        return fault(locator)

    async def run(self, feed: Feed) -> None:
        """Returns at once; the address to post to is told by the gateway."""
        feed.ready(f"http:/ingest/{feed.source.name}")


adapter: Adapter = RestJsonAdapter()
