"""What a request may carry beside its body: parts of the address, the query, headers (https://hl7.org/fhir/R4/http.html#general)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.fhir.elements import R4
from gateway.http.capability import searchable
from gateway.http.registry import Interaction, Operation

__all__ = ["components", "criteria", "headers", "part", "query"]

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
_QUERY: dict[str, tuple[str, Json]] = {
    "_format": ("Format of the answer, before Accept", {"type": "string", "enum": ["json", "xml", "application/fhir+json", "application/fhir+xml"]}),
    "_pretty": ("The answer on several lines", {"type": "boolean"}),
    "_summary": ("What of each resource", {"type": "string", "enum": ["true", "text", "data", "count", "false"]}),
    "_elements": ("Elements of each resource, with commas between", TEXT),
    "_count": ("Entries of a page", {"type": "integer", "minimum": 0}),
    "_cursor": ("Page mark of a `next` link; follow the link as it stands", TEXT),
    "_sort": ("Parameters to sort by, with commas between, `-` before one for descending", TEXT),
    "_include": ("`Type:parameter` of references to add, or `*`", TEXT),
    "_revinclude": ("`Type:parameter` of references to the matches to add", TEXT),
    "_total": ("Whether matches are counted", {"type": "string", "enum": ["none", "estimate", "accurate"]}),
    "_type": ("Resource types, with commas between", TEXT),
    "_since": ("Only what was written since", TEXT),
    "_at": ("Only versions that were current then", TEXT),
    "start": ("Earliest date of care", TEXT),
    "end": ("Latest date of care", TEXT),
    "max": ("Observations of each code", {"type": "integer", "minimum": 1, "maximum": 1000}),
    "id": ("Ids of Subscriptions", TEXT),
    "status": ("Statuses of Subscriptions", {"type": "string", "enum": ["requested", "active", "error", "off"]}),
    "eventsSinceNumber": ("First event", {"type": "integer", "minimum": 0}),
    "eventsUntilNumber": ("Last event", {"type": "integer", "minimum": 0}),
    "content": ("What of each event", {"type": "string", "enum": ["empty", "id-only"]}),
}
_HEADERS: dict[str, str] = {
    "Accept-Language": "`en` for messages in English; Chinese otherwise",
    "Idempotency-Key": "1 to 255 characters: a repeat of the request within 24 hours writes nothing and gets the first answer",
    "If-Match": 'The version that is expected: `W/"3"`',
    "If-Modified-Since": "304 when nothing was written since",
    "If-None-Exist": "Criteria: created only when nothing matches",
    "If-None-Match": '304 for a version that the client has: `W/"3"`; of a PUT `*`: only when there is nothing yet',
    "Prefer": "`return=minimal | representation | OperationOutcome`, `handling=strict | lenient`, `respond-async`",
    "X-Request-ID": "Comes back, and stands in the log",
}
_PATHS: dict[str, tuple[str, Json]] = {
    "id": ("Logical id", {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}),
    "version": ("Number of a version", {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"}),
}
_SHOWN = ("_summary", "_elements")
_PAGED = ("_count", "_cursor")
_RESULT = ("_sort", "_include", "_revinclude", "_total", *_PAGED, *_SHOWN)
_OF: dict[str, tuple[str, ...]] = {"read": _SHOWN, "vread": _SHOWN} | dict.fromkeys(
    ("history_instance", "history_type", "history_system"), ("_since", "_at", *_PAGED, *_SHOWN)
)
_OF_OPERATIONS: dict[str, tuple[str, ...]] = {
    "everything": ("start", "end", "_since", "_type", *_PAGED, *_SHOWN),
    "lastn": ("max", *_SHOWN),
    "events": ("eventsSinceNumber", "eventsUntilNumber", "content"),
    "status": ("id", "status"),
}
"""Parameters of an operation's query, without those that every address takes; the definition of an operation that is not here has them."""


def components(r4: R4) -> dict[str, Json]:
    """What stands under components.parameters."""
    paths = _PATHS | {"type": ("Resource type", {"type": "string", "enum": sorted(r4.resource_types())})}
    return (
        {name: {"name": name, "in": "query", "description": text, "schema": schema} for name, (text, schema) in _QUERY.items()}
        | {name: {"name": name, "in": "header", "description": text, "schema": TEXT} for name, text in _HEADERS.items()}
        | {f"path.{name}": {"name": name, "in": "path", "required": True, "description": t, "schema": s} for name, (t, s) in paths.items()}
    )


def _refs(names: Iterable[str]) -> list[Json]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def part(name: str, allowed: Iterable[str] = ()) -> Json:
    """One `{part}` of an address. allowed: what it may be, when that depends on the address."""
    if not allowed:
        return _refs([f"path.{name}"])[0]
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(allowed)}}


def query(called: Interaction | Operation, method: str) -> list[Json]:
    """Parameters of the URL, beside search parameters."""
    own = _OF_OPERATIONS.get(called.name, ()) if isinstance(called, Operation) else _OF.get(called.handle.__name__, ())
    if isinstance(called, Interaction) and called.code.startswith("search"):
        own = _RESULT if called.level != "system" else ("_type", *_RESULT)
    return _refs(dict.fromkeys(("_format", "_pretty", *own)))


def criteria(r4: R4, type_: str) -> list[Json]:
    """Search parameters of a type as parameters of the URL; those of every type when none is named."""
    found = searchable(r4, type_ or "Basic")
    if not type_:
        found = {code: p for code, p in found.items() if code.startswith("_")}
    return [{"name": code, "in": "query", "description": p.type, "schema": TEXT} for code, p in found.items()]


def headers(called: Interaction | Operation, method: str) -> list[Json]:
    """Headers that it minds, beside Accept, Content-Type and Authorization."""
    found = ["Accept-Language", "X-Request-ID"]
    name = called.handle.__name__
    if name in ("read", "vread"):
        found += ["If-None-Match", "If-Modified-Since"]
    elif method in ("PUT", "PATCH", "DELETE"):
        found += ["If-Match", "Prefer", "Idempotency-Key"] + (["If-None-Match"] if method == "PUT" else [])
    elif name in ("create", "bundle"):
        found += ["Prefer", "Idempotency-Key"] + (["If-None-Exist"] if name == "create" else [])
    elif name not in ("capabilities", "meta"):
        found += ["Prefer"]
    return _refs(found)
