"""Notifications: history Bundles whose first entry is a Parameters resource that tells how the Subscription stands.

http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4 and backport-subscription-status-r4.
Numbers are strings, since R4 has no 64-bit integer. No notification holds anything of a resource but its type and id.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.fhir.bundle import bundle
from gateway.fhir.json import encode
from gateway.store.subscriptions import Noted

__all__ = ["Kind", "State", "instant", "notice", "status_of", "statuses"]

_GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"
NOTICE, STATUS = f"{_GUIDE}-notification-r4", f"{_GUIDE}-status-r4"
_NAMES = uuid.UUID("6f3b8a52-58c4-5d0a-9a43-2f6d6a2f5b11")
"""Namespace of the ids of notifications: the same notification has the same id when it is sent again."""
Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]
_REQUESTS = {"create": ("POST", "201"), "update": ("PUT", "200"), "delete": ("DELETE", "204")}


@dataclass(frozen=True, slots=True)
class State:
    """How a Subscription stands. number: of the last event so far. error: why it is not served, or why the last attempt failed."""

    id: str
    status: str
    topic: str
    number: int
    error: str | None = None


def instant(time: int) -> str:
    """µs since the epoch as a FHIR instant."""
    return datetime.fromtimestamp(time / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status_of(state: State, kind: Kind, base: str, events: Sequence[Noted] = (), *, focus: bool = True) -> dict[str, Any]:
    """The Parameters resource. focus: whether it names what the events are about. base: FHIR base of absolute references."""
    parameters: list[dict[str, Any]] = [{"name": "subscription", "valueReference": {"reference": f"{base}/Subscription/{state.id}"}}]
    if state.topic:
        parameters.append({"name": "topic", "valueCanonical": state.topic})
    parameters += [
        {"name": "status", "valueCode": state.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(state.number)},
        *({"name": "notification-event", "part": _event(e, base, focus)} for e in events),
    ]
    if state.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": state.error}})
    return {"resourceType": "Parameters", "meta": {"profile": [STATUS]}, "parameter": parameters}


def _event(e: Noted, base: str, focus: bool) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"name": "event-number", "valueString": str(e.number)}, {"name": "timestamp", "valueInstant": instant(e.time)}]
    if focus and e.type:
        parts.append({"name": "focus", "valueReference": {"reference": f"{base}/{e.type}/{e.id}"}})
    return parts


def notice(state: State, kind: Kind, base: str, now: int, events: Sequence[Noted] = (), *, focus: bool = True) -> bytes:
    """A notification Bundle. now: µs since the epoch. Events whose type is "" are told without what they are about."""
    name = ":".join((state.id, kind, *(str(e.number) for e in events), *([str(now)] if not events else [])))
    id_ = str(uuid.uuid5(_NAMES, name))
    first = {
        "fullUrl": f"urn:uuid:{uuid.uuid5(_NAMES, name + ':status')}",
        "resource": status_of(state, kind, base, events, focus=focus),
        "request": {"method": "GET", "url": f"Subscription/{state.id}/$status"},
        "response": {"status": "200"},
    }
    entries = [first, *(_entry(e, base) for e in events if focus and e.type)]
    head = {"id": id_, "meta": {"profile": [NOTICE]}}
    return bundle("history", [encode(e) for e in entries], timestamp=instant(now), **head)


def _entry(e: Noted, base: str) -> dict[str, Any]:
    method, status = _REQUESTS[e.how]
    url = e.type if method == "POST" else f"{e.type}/{e.id}"
    return {"fullUrl": f"{base}/{e.type}/{e.id}", "request": {"method": method, "url": url}, "response": {"status": status}}


def statuses(states: Sequence[State], base: str, link: str, now: int) -> bytes:
    """The searchset of `$status`."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{uuid.uuid5(_NAMES, f'{s.id}:query-status:{now}')}",
            "resource": status_of(s, "query-status", base),
            "search": {"mode": "match"},
        }
        for s in states
    ]
    return bundle("searchset", [encode(e) for e in entries], total=len(entries), link=[{"relation": "self", "url": link}])
