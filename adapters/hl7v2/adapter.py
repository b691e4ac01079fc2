"""The hl7v2 adapter: HL7 v2.3.1 to 2.5.1 messages over MLLP, or in files. docs/adapters/hl7v2.md is the page for people."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.hl7v2.extract import compile_extract
from adapters.hl7v2.locator import SEGMENT, parse, parse_each
from adapters.hl7v2.options import Options, ProfileOptions
from adapters.hl7v2.server import serve
from gateway.adapter import Adapter, BaseModel, Extract, Feed, Layout


class Hl7v2Adapter:
    """See `gateway.adapter.Adapter`."""

    name: str = "hl7v2"
    options: type[BaseModel] = Options
    profile_options: type[BaseModel] = ProfileOptions

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """One function for all profiles of the source; each message goes to the first profile that takes its type."""
        return compile_extract(layouts)

    def check_locator(self, locator: str) -> str | None:
        """None when it is a locator (`PID-5.1`), or the `each` of a segment group (`[ORC] OBR`)."""
        if SEGMENT.fullmatch(locator) or locator.startswith("["):
            try:
                parse_each(locator)
            except ValueError as e:
                return str(e)
            return None
        try:
            parse(locator)
        except ValueError as e:
            return str(e)
        return None

    async def run(self, feed: Feed) -> None:
        """The MLLP server of this source, until cancelled."""
        await serve(feed)


adapter: Adapter = Hl7v2Adapter()
