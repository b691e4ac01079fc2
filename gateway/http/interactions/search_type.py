"""Resources of one type that match, a page at a time; by GET, or by POST with the criteria in the body.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.registry import interaction
from gateway.http.searching import answered, posted


@interaction("search-type", "type", "GET", "T", lasting=True)
async def search(call: Call) -> Reply:
    """200 with a searchset: matches, `self` with what was understood, `next` while there is more. 400 for a query that cannot be
    understood; a parameter that R4 does not know of the type is left out of `self` (strict handling makes it an error)."""
    return await answered(call, call.type)


@interaction("search-type", "type", "GET", "T/_search", lasting=True)
@interaction("search-type", "type", "POST", "T/_search", lasting=True)
async def search_by_post(call: Call) -> Reply:
    """The same with parameters of the URL and of an `application/x-www-form-urlencoded` body together; links are for GET."""
    return await answered(posted(call), call.type)
