"""A new version of a resource, or a resource under an id that the client chooses.

https://hl7.org/fhir/R4/http.html#update
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.problems import Problem
from gateway.http.registry import interaction
from gateway.http.resources import resource_of
from gateway.http.versions import asked_version, must_be_absent
from gateway.http.writing import write
from gateway.store.api.asks import Ask


@interaction("update", "instance", "PUT", "T/i")
async def update(call: Call) -> Reply:
    """200 for a new version and for a body that changes nothing, 201 when it creates; 412 against If-Match or If-None-Match: *."""
    return await write(call, update_of(call))


def update_of(call: Call) -> Ask:
    """What the request asks for. Problem 400 when the body has no id, or another one than the address."""
    body = resource_of(call)
    if body.get("id") != call.id and not (call.type == "Binary" and "id" not in body):  # native content has no place for an id
        zh = f"请求体的 id 应为 {call.id}, 与地址一致"
        raise Problem(400, "invalid", zh, f"The body's id should be {call.id}, as in the address", f"{call.type}.id")
    return Ask("update", call.type, call.id, body, asked_version(call), must_be_absent(call))
