"""What the three kinds of search share: the query, the page, the links (https://hl7.org/fhir/R4/search.html)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlencode

from gateway.fhir.bundle import bundle
from gateway.fhir.json import encode
from gateway.fhir.query import parse_query
from gateway.http.addresses import both
from gateway.http.call import Call, Reply
from gateway.http.negotiate import media_of
from gateway.http.problems import Problem
from gateway.http.shaping import cut
from gateway.store.search import Compartment, Found, Page

__all__ = ["CURSOR", "answered", "entry", "page_of", "posted", "query_text"]

CURSOR = "_cursor"


def posted(call: Call) -> Call:
    """The call as a GET: with the parameters of a form added to those of the URL, and the address without `_search`."""
    if call.body:
        if media_of(call.header("content-type")) != "form":
            zh = "_search 的请求体应为 application/x-www-form-urlencoded"
            raise Problem(415, "not-supported", zh, "The body of _search should be application/x-www-form-urlencoded")
        call.query = [*call.query, *parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)]
    call.path = call.path[:-1]
    return call


def page_of(call: Call, type_: str, pairs: Sequence[tuple[str, str]], within: Compartment | None = None, cursor: str | None = None) -> Page:
    """One page of matches. cursor: where it begins, None for where the call says."""
    backend = call.backend
    with backend.database.engine.connect() as connection:
        return backend.searcher.search(
            connection, type_, parse_query(pairs), call.scope, (call.asked(CURSOR) if cursor is None else cursor) or None, within
        )


async def answered(call: Call, type_: str, within: Compartment | None = None) -> Reply:
    """200 with a searchset. type_: "" for every type."""
    pairs = [(k, both(call, v)) for k, v in call.query if k != CURSOR]
    page = await call.backend.searching(lambda: page_of(call, type_, pairs, within))
    if page.ignored and call.prefers("handling") == "strict":
        where = type_ or "全部类型的检索"
        zh = f"{where} 没有这些检索参数: {'、'.join(page.ignored)}"
        raise Problem(400, "not-supported", zh, f"{type_ or 'A search of all types'} has no such search parameters: {', '.join(page.ignored)}")
    return Reply(200, searchset(call, page), shaped=True)


def searchset(call: Call, page: Page) -> bytes:
    """The page as a Bundle; resources are spliced in as they are stored, so that decimals keep their digits."""
    applied = list(page.applied)
    links = [{"relation": "self", "url": call.here + query_text(applied)}]
    if page.next is not None:
        links.append({"relation": "next", "url": call.here + query_text([*applied, (CURSOR, page.next)])})
    thin = cut(call)
    entries = [entry(call.root, row, b"match", thin) for row in page.rows]
    entries += [entry(call.root, row, b"include", thin) for row in page.included]
    return bundle("searchset", entries, total=page.total, link=links)


def entry(root: str, row: Found, mode: bytes, thin: Callable[[bytes], bytes] | None) -> bytes:
    """One entry of a searchset. mode: `match` or `include`. thin: makes the resource as small as the client asked for."""
    content = thin(row.content) if thin is not None else row.content
    return b'{"fullUrl":' + encode(f"{root}/{row.type}/{row.id}") + b',"resource":' + content + b',"search":{"mode":"' + mode + b'"}}'


def query_text(pairs: Sequence[tuple[str, str]]) -> str:
    """`?…`, or nothing."""
    return "?" + urlencode(pairs) if pairs else ""
