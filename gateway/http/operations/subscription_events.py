"""Events of a Subscription again, by their numbers: for a receiver that finds a gap.

https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-events.html
"""

from __future__ import annotations

from gateway.http.call import Call, Reply
from gateway.http.operations.subscription_status import state_of
from gateway.http.parameters import given
from gateway.http.problems import Problem
from gateway.http.registry import operation
from gateway.http.stored import unknown
from gateway.notify.notice import notice
from gateway.store import subscriptions
from gateway.store.deliveries import micro
from gateway.store.subscriptions import Noted

DEFINITION = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events"
MOST = 1000
"""Events in one answer; whoever asked for more goes on behind the last number it got."""
HIGHEST = 2**62


@operation("events", "instance", types=("Subscription",), definition=DEFINITION)
async def events(call: Call) -> Reply:
    """200 with a notification Bundle of type query-event: events from `eventsSinceNumber` to `eventsUntilNumber`, both included, the first
    1000 of them. `content`: id-only, or empty for the numbers alone. 404 unknown; 400 for what is no number."""
    return await call.backend.reading(lambda: _told(call))


def _told(call: Call) -> Reply:
    state = state_of(call, call.id)
    if state is None:
        raise unknown(call)
    asked = dict(given(call))
    first, last = _number(asked, "eventsSinceNumber", 1), _number(asked, "eventsUntilNumber", HIGHEST)
    database = call.backend.database
    found = subscriptions.events(database, call.id, first, last, MOST)
    seen = subscriptions.seen(database, {(e.type, e.id) for e in found}, call.scope)
    told = [e if (e.type, e.id) in seen else Noted(e.number, e.seq, e.time, "", "", 0, e.how) for e in found]
    now = micro(call.backend.site.clock.now())
    focus = asked.get("content") != "empty"
    return Reply(200, notice(state, "query-event", call.root, now, told, focus=focus), shaped=True)


def _number(asked: dict[str, str], name: str, otherwise: int) -> int:
    """A number of the range; Problem 400 for anything else."""
    text = asked.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Problem(400, "value", f"{name} 应为事件编号, 一个不小于 0 的整数", f"{name} should be an event number, an integer from 0", name)
    return int(text)
