"""Resources of all types that match, or of those that `_type` names.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.registry import interaction
from gateway.http.searching import answered, posted


@interaction("search-system", "system", "GET", "", lasting=True)
async def search_system(call: Call) -> Reply:
    """200 with a searchset, as a search by type has it."""
    return await answered(call, "")


@interaction("search-system", "system", "GET", "_search", lasting=True)
@interaction("search-system", "system", "POST", "_search", lasting=True)
async def search_system_by_post(call: Call) -> Reply:
    """The same with the criteria in the body, or in the URL as fhir-kit-client has them."""
    return await answered(posted(call), "")
