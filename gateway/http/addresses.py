"""This server's own addresses: a reference below one of them names a resource here (https://hl7.org/fhir/R4/references.html#literal).

A client may name a resource by the URL it read it from. What it writes is kept as `Type/id`, so that searches, compartments, residents and
destinations take it for what it is, whatever address a later client comes by.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.fhir.references import parse_reference
from gateway.http.call import Call
from gateway.http.placeholders import rewritten

__all__ = ["bases", "both", "localised", "relative"]


def bases(call: Call) -> set[str]:
    """The address that this client came by (behind a proxy: as the proxy says), the one that receivers of notifications are told, and the
    canonical base of the deployment."""
    config = call.backend.site.config
    return {call.root, (config.notify.address or config.base).rstrip("/"), config.base}


def relative(own: set[str], text: str) -> str:
    """`Type/id` (with its version, if it names one) of a reference below one of our own addresses; any other as it is."""
    for base in own:
        if text.startswith(base):
            target = parse_reference(text, base)
            if target.type and not target.base:
                return text[len(base) + 1 :]
    return text


def localised(call: Call, body: Any) -> Any:
    """A resource with references to what is here in their relative form. A body that names none of our hosts, as nearly all do, is not
    walked; a host is written without what JSON escapes."""
    own = bases(call)
    if call.resource is None and not any(host(base).encode() in call.body for base in own):
        return body
    return rewritten(body, partial(relative, own))


def host(base: str) -> str:
    """The host and port of an address; a client may have written anything there (`X-Forwarded-Host`)."""
    return base.partition("://")[2].partition("/")[0]


def both(call: Call, value: str) -> str:
    """A search value with what lies below our own addresses in both forms: a URL may be a reference, and the value of a uri."""
    parts = value.split(",")
    for base in bases(call):
        if base + "/" in value:
            parts = [f"{part.removeprefix(base + '/')},{part}" if part.startswith(base + "/") else part for part in parts]
    return ",".join(parts)
