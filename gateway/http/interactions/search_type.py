"""Resources of one type that match, a page at a time; by GET, or by POST with the criteria in the body.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, urlencode

from gateway.fhir.bundle import searchset
from gateway.fhir.query import parse_query
from gateway.http.call import Call, Reply
from gateway.http.negotiate import media_of
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.store.search import Page

CURSOR = "_cursor"


@interaction("search-type", "type", "GET", "T")
async def search(call: Call) -> Reply:
    """200 with a searchset: matches, `self` with what was understood, `next` while there is more. 400 for a query that cannot be
    understood; a parameter that R4 does not know of the type is left out of `self` (strict handling makes it an error)."""
    pairs = [(k, v) for k, v in call.query if k != CURSOR]
    page = await asyncio.to_thread(found, call, pairs)
    if page.ignored and call.prefers("handling") == "strict":
        names = "、".join(page.ignored)
        zh, en = f"{call.type} 没有这些检索参数: {names}", f"{call.type} has no such search parameters: {', '.join(page.ignored)}"
        raise Problem(400, "not-supported", zh, en)
    return Reply(200, bundle(call, page, pairs))


@interaction("search-type", "type", "POST", "T/_search")
async def search_by_post(call: Call) -> Reply:
    """The same with parameters of the URL and of an `application/x-www-form-urlencoded` body together; links are for GET."""
    if call.body:
        if media_of(call.header("content-type")) != "form":
            zh = "_search 的请求体应为 application/x-www-form-urlencoded"
            raise Problem(415, "not-supported", zh, "The body of _search should be application/x-www-form-urlencoded")
        call.query = [*call.query, *parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)]
    call.path = call.path[:-1]
    return await search(call)


def found(call: Call, pairs: list[tuple[str, str]]) -> Page:
    """One page of matches."""
    backend = call.backend
    with backend.database.engine.connect() as connection:
        return backend.searcher.search(connection, call.type, parse_query(pairs), call.scope, call.asked(CURSOR) or None)


def bundle(call: Call, page: Page, pairs: list[tuple[str, str]]) -> bytes:
    """The searchset as bytes; resources are spliced in as they are stored, so that decimals keep their digits."""
    understood = [(k, v) for k, v in pairs if k not in page.ignored]
    links = [("self", call.here + query_text(understood))]
    if page.next is not None:
        links.append(("next", call.here + query_text([*understood, (CURSOR, page.next)])))
    return searchset(call.root, ((row.type, row.id, row.content) for row in page.rows), links, page.total)


def query_text(pairs: list[tuple[str, str]]) -> str:
    """`?…`, or nothing."""
    return "?" + urlencode(pairs) if pairs else ""
