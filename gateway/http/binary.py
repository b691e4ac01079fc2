"""Binary by its native content type (https://hl7.org/fhir/R4/binary.html#rest)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gateway.fhir.json import decode
from gateway.http.call import Call, Reply
from gateway.http.negotiate import JSON, XML, media_of

__all__ = ["native", "wrapped"]

SAFE = "nosniff"


def native(call: Call, reply: Reply) -> Reply:
    """The Binary's own bytes, when the client accepts its content type and does not ask for a FHIR format; else the resource."""
    if call.asked("_format"):
        return reply
    accept = [part.partition(";")[0].strip().lower() for part in call.header("accept").split(",")]
    if any(a in JSON or a in XML for a in accept):
        return reply
    resource: dict[str, Any] = decode(reply.content)
    media = str(resource.get("contentType", ""))
    name = media.partition(";")[0].strip().lower()
    wanted = any(a in ("", "*/*", name, f"{name.partition('/')[0]}/*") for a in accept)
    try:
        content = base64.b64decode("".join(str(resource.get("data", "")).split()), validate=True)
    except (binascii.Error, ValueError):
        return reply
    if not wanted or not media.isascii() or not media.isprintable() or "/" not in media:  # no header can hold it
        return reply
    headers = reply.headers | {"X-Content-Type-Options": SAFE, "Content-Disposition": "attachment"}
    return Reply(200, content, headers, media)


def wrapped(call: Call) -> dict[str, Any] | None:
    """The Binary that a body of another content type stands for; None when the body is a resource in a FHIR format."""
    media = call.header("content-type")
    if call.type != "Binary" or not media or media_of(media) in ("json", "xml", "form"):
        return None
    body: dict[str, Any] = {"resourceType": "Binary", "contentType": media}
    context = call.header("x-security-context")
    if context:
        body["securityContext"] = {"reference": context}
    return body | {"data": base64.b64encode(call.body).decode("ascii")}
