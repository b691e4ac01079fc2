"""Which statuses each interaction and operation answers with, by the name of its handler; docs/api.md says when.

Where an answer depends on the address, the method or the deployment, that is added here too: 401 where tokens are asked for, 404 for a type
that R4 does not have, 413 and 415 for bodies, 202 and 429 for what may be answered later.
"""

from __future__ import annotations

from gateway.http.registry import Interaction, Operation

__all__ = ["DESCRIPTIONS", "NAMED", "statuses"]

ALWAYS = (406, 503)
"""Of every FHIR address: a format that is not spoken; the database does not answer."""
DESCRIPTIONS = {
    200: "Done; the answer",
    201: "Created",
    202: "Taken; the answer follows",
    204: "Done; nothing to tell",
    304: "The client has the current version",
    400: "A query, body or Bundle that cannot be understood",
    401: "No valid bearer token",
    403: "Not allowed, or too costly",
    404: "No such type, id, source or address",
    406: "A format that is not spoken was asked for",
    409: "A Patient that was linked away, or that records speak of",
    410: "Deleted",
    412: "If-Match, If-None-Match, or criteria that match several",
    413: "The body is above http.max_body",
    415: "A body of another media type",
    422: "What R4 does not allow, with every place; a patch that cannot be done; a reused Idempotency-Key",
    429: "Too many requests in work",
    503: "The store does not answer now; see Retry-After",
}

USUAL = (200, 400, 404, 410)
"""Of an operation that NAMED does not name."""
_READ = (200, 304, 400, 404, 410)
_SEARCH = (200, 400)
_WRITE = (200, 201, 400, 409, 412, 422)
_CHANGE = (200, 400, 404, 409, 410, 412, 422)
NAMED: dict[str, tuple[int, ...]] = {
    "async_cancel": (202, 404),
    "async_status": (200, 202, 404),
    "bundle": (200, 400, 404, 409, 410, 412, 422),
    "capabilities": (200,),
    "conditional_delete": (204, 400, 409, 412, 422),
    "conditional_patch": _CHANGE,
    "conditional_update": _WRITE,
    "create": _WRITE,
    "delete": (204, 400, 409, 412, 422),
    "history_instance": (200, 400, 404),
    "history_system": (200, 400),
    "history_type": (200, 400),
    "patch": _CHANGE,
    "read": _READ,
    "search": _SEARCH,
    "search_by_post": _SEARCH,
    "search_compartment": _SEARCH,
    "search_compartment_by_post": _SEARCH,
    "search_system": _SEARCH,
    "search_system_by_post": _SEARCH,
    "update": _WRITE,
    "vread": _READ,
    "lastn": (200, 400, 403),
    "meta_add": _CHANGE,
    "meta_delete": _CHANGE,
    "events": (200, 400, 404),
    "status": (200, 400, 404),
}


def statuses(called: Interaction | Operation, method: str, *, typed: bool, tokens: bool) -> list[int]:
    """Statuses of one way to call it, in order. typed: the type is a parameter of the address; tokens: clients need one."""
    found = {*NAMED.get(called.handle.__name__, USUAL), *ALWAYS}
    if typed:
        found.add(404)
    if tokens and called.handle.__name__ != "capabilities":
        found.add(401)
    if method != "GET":
        found.add(413)
    if method in ("POST", "PUT", "PATCH"):
        found.add(415)
    if called.lasting:
        found |= {202, 429}
    return sorted(found)
