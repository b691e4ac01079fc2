"""What this server can do: the CapabilityStatement follows from the registry and the R4 table.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from __future__ import annotations

from functools import lru_cache

from gateway.http.call import Call, Reply
from gateway.http.capability import statement
from gateway.http.registry import interaction


@interaction("", "system", "GET", "metadata")
async def capabilities(call: Call) -> Reply:
    """200 with the CapabilityStatement."""
    return Reply(200, _encoded(call.backend.site.config.base, call.root))


@lru_cache(maxsize=8)
def _encoded(base: str, root: str) -> bytes:
    return statement(base, root)
