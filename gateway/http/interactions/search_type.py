"""Resources of one type that match, a page at a time.

https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Refused
from gateway.fhir.bundle import searchset
from gateway.fhir.query import parse_query
from gateway.http.interactions.read import known_type
from gateway.http.problems import FHIR_JSON, Problem
from gateway.site import Site
from gateway.store.index.keys import default_indexer
from gateway.store.scope import Scope
from gateway.store.search import Page, Searcher

CURSOR = "_cursor"


def handle(request: Request, site: Site, type_: str) -> Response:
    """200 with a searchset: matches, `self` with what was understood, `next` while there is more. 400 for a query that cannot be
    understood; a parameter that R4 does not know of the type is left out of `self` (strict handling makes it an error)."""
    known_type(type_)
    pairs = [(k, v) for k, v in request.query_params.multi_items() if k != CURSOR]
    searcher = Searcher(default_indexer(), site.gateway.context.ids.key)
    try:
        query = parse_query(pairs)
        with site.database.engine.connect() as connection:
            page = searcher.search(connection, type_, query, Scope.all(request.state.caller.client), request.query_params.get(CURSOR))
    except Refused as e:
        f = e.finding
        raise Problem(400, "too-costly" if f.code == "too-costly" else "invalid", f.message, f"Cannot search: {f.code} {f.source}".strip()) from None
    if page.ignored and "handling=strict" in request.headers.get("prefer", ""):
        names = "、".join(page.ignored)
        raise Problem(400, "not-supported", f"{type_} 没有这些检索参数: {names}", f"{type_} has no such search parameters: {', '.join(page.ignored)}")
    return Response(bundle(request, page, pairs), headers={"Content-Type": f"{FHIR_JSON}; charset=utf-8"})


def bundle(request: Request, page: Page, pairs: list[tuple[str, str]]) -> bytes:
    """The searchset as bytes; resources are spliced in as they are stored, so that decimals keep their digits."""
    root = str(request.base_url).rstrip("/") + "/fhir"
    here = str(request.url.replace(query="").replace(fragment=""))
    understood = [(k, v) for k, v in pairs if k not in page.ignored]
    links = [("self", here + query_text(understood))]
    if page.next is not None:
        links.append(("next", here + query_text([*understood, (CURSOR, page.next)])))
    return searchset(root, ((row.type, row.id, row.content) for row in page.rows), links, page.total)


def query_text(pairs: list[tuple[str, str]]) -> str:
    """`?…`, or nothing."""
    return "?" + urlencode(pairs) if pairs else ""
