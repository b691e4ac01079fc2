"""How Subscriptions stand: one by its id, or those of the type that are asked for.

https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html
"""

from __future__ import annotations

from gateway.fhir.json import decode
from gateway.fhir.query import parse_query
from gateway.http.call import Call, Reply
from gateway.http.parameters import given
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.stored import unknown
from gateway.notify.notice import State, statuses
from gateway.store import subscriptions
from gateway.store.deliveries import micro

DEFINITION = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status"
MOST = 1000
"""Subscriptions that one answer tells at most."""


@operation("status", "type", "instance", types=("Subscription",), definition=DEFINITION)
async def status(call: Call) -> Reply:
    """200 with a searchset of Parameters; `id` and `status` (both may repeat) narrow it. 404 for an instance that is not there."""
    return await call.backend.reading(lambda: _told(call))


def _told(call: Call) -> Reply:
    pairs = given(call)
    ids = [call.id] if call.id else [v for k, v in pairs if k == "id"]
    wanted = frozenset(v for k, v in pairs if k == "status")
    if not wanted <= {"requested", "active", "error", "off"}:
        raise Problem(400, "value", "status 应为 requested、active、error 或 off", "status should be requested, active, error or off", "status")
    found = [s for s in (state_of(call, id_) for id_ in dict.fromkeys(ids or _all(call))) if s is not None]
    if call.id and not found:
        raise unknown(call)
    states = [s for s in found if not wanted or s.status in wanted]
    return Reply(200, statuses(states, call.root, call.here, micro(call.backend.site.clock.now())), shaped=True)


def _all(call: Call) -> list[str]:
    backend = call.backend
    with backend.database.engine.connect() as connection:
        page = backend.searcher.search(connection, "Subscription", parse_query([("_count", str(MOST))]), call.scope)
    return [row.id for row in page.rows]


def state_of(call: Call, id_: str) -> State | None:
    """How one Subscription stands; None when there is none. Before the gateway has taken a version up, what the resource says counts."""
    found = subscriptions.words(call.backend.database, id_, call.scope)
    if found is None:
        return None
    body = decode(found[1])
    row = subscriptions.standing(call.backend.database, id_)
    status, number, error = body.get("status", ""), 0, None
    if row is not None:
        number = row.number
        error = row.error if row.version == found[0] else None
    return State(id_, status, body.get("criteria", ""), number, error)
