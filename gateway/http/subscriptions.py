"""Subscriptions as clients write them: what the gateway could never serve is refused at once (docs/subscriptions.md)."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.errors import Refused
from gateway.http.call import Call
from gateway.http.problems import Problem
from gateway.notify.topics import topics
from gateway.notify.wish import read_wish
from gateway.store.api.asks import Ask

__all__ = ["admit"]

_ENGLISH = {
    "unsupported-channel": "Only rest-hook channels are served",
    "endpoint-not-allowed": "This endpoint is not on the gateway's allow-list (notify.endpoints of yifang.toml); ask its operator",
    "unknown-topic": "criteria should be the canonical URL of a topic that this gateway has; see docs/subscriptions.md",
    "unsupported-filter": "This filter cannot be used with the topic; see docs/subscriptions.md",
    "bad-header": "channel.header should be `Name: value`, and none that the gateway sets itself",
    "unsupported-payload": "channel.payload should be application/fhir+json",
    "unsupported-content": "The payload-content extension should say id-only or empty: notifications carry no content",
    "bad-extension": "A numeric extension of the channel should stand once, with an integer from 0",
    "bad-instant": "end should be an instant with a time zone",
}


def admit(call: Call, asks: Iterable[Ask]) -> None:
    """Problem 422 for a Subscription that asks for what is not served. A client says `requested` or `off`, nothing else
    (https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.status); one that is `off` may say what it wants."""
    config = call.backend.site.config
    for ask in asks:
        if ask.type != "Subscription" or ask.body is None or ask.settled is not None or ask.body.get("status") == "off":
            continue
        if ask.body.get("status") != "requested":
            zh = "Subscription.status 应为 requested 或 off: active 与 error 只能由网关写入"
            en = "Subscription.status should be requested or off: active and error are the gateway's to say"
            raise Problem(422, "business-rule", zh, en, "Subscription.status")
        try:
            read_wish(ask.body, topics(config.base, config.profiles), config.notify.endpoints)
        except Refused as e:
            en = _ENGLISH.get(e.finding.code, f"The Subscription cannot be served: {e.finding.code} {e.finding.source}".strip())
            raise Problem(422, "business-rule", e.finding.message, en, e.finding.target) from None
