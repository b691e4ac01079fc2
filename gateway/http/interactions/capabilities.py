"""What this server can do: the CapabilityStatement follows from the registry and the search parameters.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from __future__ import annotations

import asyncio

from gateway.http.call import Call, Reply
from gateway.http.capability import statement
from gateway.http.registry import interaction


@interaction("", "system", "GET", "metadata")
async def capabilities(call: Call) -> Reply:
    """200 with the CapabilityStatement."""
    backend = call.backend
    if call.root not in backend.statements:
        if len(backend.statements) > 16:
            backend.statements.clear()
        backend.statements[call.root] = await asyncio.to_thread(statement, backend.site.config.base, call.root, backend.site.indexer.r4)
    return Reply(200, backend.statements[call.root])
