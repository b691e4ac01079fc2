"""`_summary` and `_elements` on what is answered (https://hl7.org/fhir/R4/search.html#summary, #elements)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.fhir.json import decode, encode
from gateway.fhir.summary import pick_elements, summarise
from gateway.http.call import Call, Reply

__all__ = ["cut", "shaped"]

Resource = dict[str, Any]


def cut(call: Call) -> Callable[[bytes], bytes] | None:
    """What makes a resource's JSON as small as the client asked for; None when it wants it whole."""
    if not call.query:
        return None
    summary = call.asked("_summary")
    names = [n.strip() for k, v in call.query if k == "_elements" for n in v.split(",") if n.strip()]
    if summary in ("", "false", "count") and not names:
        return None

    def thin(content: bytes) -> bytes:
        resource: Resource = decode(content)
        return encode(pick_elements(resource, names) if names else summarise(resource, summary))

    return thin


def shaped(call: Call, reply: Reply) -> Reply:
    """The reply with its resource cut to what was asked for, or each of the resources in its Bundle. A fault is never cut."""
    thin = None if reply.shaped or reply.media or not reply.content or reply.status >= 400 else cut(call)
    if thin is None:
        return reply
    if reply.content.startswith(b'{"resourceType":"Bundle"') and call.type != "Bundle":
        bundle: Resource = decode(reply.content)
        for entry in bundle.get("entry", ()):
            if "resource" in entry:
                entry["resource"] = decode(thin(encode(entry["resource"])))
        reply.content = encode(bundle)
    else:
        reply.content = thin(reply.content)
    reply.shaped = True
    return reply
