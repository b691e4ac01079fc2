"""Subscriptions over HTTP: what is refused and why, `$status`, `$events`, the CapabilityStatement."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notify.ward import TOPIC, Ward, focuses, numbers, observation, subscription, value

ELSEWHERE = "https://elsewhere.example/hook"


def refusal(ward: Ward, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """The one issue of a 422."""
    answer = ward.front.write("POST", "/fhir/Subscription", body, **headers)
    assert answer.status_code == 422, answer.text
    (issue,) = answer.json()["issue"]
    return dict(issue)


def test_an_endpoint_that_is_not_allowed_is_refused_in_both_languages(ward: Ward) -> None:
    issue = refusal(ward, subscription(ELSEWHERE))
    assert issue["expression"] == ["Subscription.channel.endpoint"] and "endpoints" in issue["details"]["text"]
    english = refusal(ward, subscription(ELSEWHERE), Accept_Language="en")
    assert "allow-list" in english["details"]["text"]
    assert ward.read("Subscription?_count=0")["total"] == 0


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"status": "active"}, "status"),
        ({"status": "error"}, "status"),
        ({"criteria": "Observation?code=1"}, "criteria"),
        ({"criteria": TOPIC + "no-such-topic"}, "criteria"),
        ({"end": "2026-12-31T00:00:00Z", "status": "active"}, "status"),
    ],
)
def test_what_cannot_be_served_is_refused(ward: Ward, change: dict[str, Any], element: str) -> None:
    assert refusal(ward, subscription(ward.receiver.url) | change)["expression"] == [f"Subscription.{element}"]


@pytest.mark.parametrize(
    ("change", "element"),
    [
        ({"type": "email"}, "channel.type"),
        ({"payload": "text/plain"}, "channel.payload"),
        ({"_payload": {}}, "channel.payload.extension"),
        ({"header": ["Host: elsewhere"]}, "channel.header"),
        ({"header": ["X-A: b\r\nX-C: d"]}, "channel.header"),
    ],
)
def test_a_channel_that_cannot_be_served_is_refused(ward: Ward, change: dict[str, Any], element: str) -> None:
    body = subscription(ward.receiver.url)
    body["channel"] = {k: v for k, v in (body["channel"] | change).items() if v != {}}
    assert refusal(ward, body)["expression"] == [f"Subscription.{element}"]


def test_full_content_is_refused(ward: Ward) -> None:
    assert "id-only" in refusal(ward, subscription(ward.receiver.url, content="full-resource"))["details"]["text"]


@pytest.mark.parametrize(
    "text", ["Observation?subject:Patient.name=x", "Observation?value-quantity=5", "Practitioner?identifier=1", "Observation", "nonsense", "?code=1"]
)
def test_a_filter_that_cannot_be_used_is_refused(ward: Ward, text: str) -> None:
    assert refusal(ward, subscription(ward.receiver.url, "record-changed", text))["expression"] == ["Subscription.criteria"]


def test_an_update_and_a_transaction_are_held_to_the_same(ward: Ward) -> None:
    ward.subscribe()
    bad = subscription(ELSEWHERE)
    assert ward.front.write("PUT", "/fhir/Subscription/s1", bad).status_code == 422
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "PUT", "url": "Subscription/s1"}, "resource": bad}]}
    assert ward.front.write("POST", "/fhir", bundle).status_code == 422
    patch = [{"op": "replace", "path": "/channel/endpoint", "value": ELSEWHERE}, {"op": "replace", "path": "/status", "value": "requested"}]
    assert ward.front.write("PATCH", "/fhir/Subscription/s1", patch, Content_Type="application/json-patch+json").status_code == 422
    assert ward.status() == "active"


def test_one_that_is_off_may_be_kept_whatever_it_says(ward: Ward) -> None:
    ward.put(subscription(ELSEWHERE, status="off"))
    ward.run()
    assert ward.status() == "off" and ward.receiver.bundles == []


# -- $status -----------------------------------------------------------------------------------------------------------------------------


def told(ward: Ward, path: str) -> list[dict[str, Any]]:
    answer = ward.front.get(path)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "searchset" and bundle["total"] == len(bundle.get("entry", []))
    return [{"entry": [e]} for e in bundle.get("entry", [])]


def test_status_of_one_and_of_the_type(ward: Ward) -> None:
    ward.subscribe(id_="a")
    ward.put(subscription(ward.receiver.url, id_="b"))
    ward.put(observation("o1"))
    ward.notifier.tend()
    (one,) = told(ward, "/fhir/Subscription/a/$status")
    assert value(one, "status") == "active" and value(one, "type") == "query-status" and value(one, "events-since-subscription-start") == "1"
    assert value(one, "subscription") == {"reference": "http://127.0.0.1:8765/fhir/Subscription/a"}
    assert len(told(ward, "/fhir/Subscription/$status")) == 2
    assert [value(b, "status") for b in told(ward, "/fhir/Subscription/$status?status=requested")] == ["requested"]
    assert len(told(ward, "/fhir/Subscription/$status?id=a&id=nobody")) == 1
    asked = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": "b"}]}
    answer = ward.front.write("POST", "/fhir/Subscription/$status", asked)
    assert answer.json()["total"] == 1
    assert ward.front.get("/fhir/Subscription/nobody/$status").status_code == 404
    assert ward.front.get("/fhir/Subscription/$status?status=perhaps").status_code == 400


def test_status_tells_why_a_receiver_fails(ward: Ward) -> None:
    ward.subscribe()
    ward.receiver.answer = (500, {})
    ward.put(observation("o1"))
    ward.run()
    (one,) = told(ward, "/fhir/Subscription/s1/$status")
    assert value(one, "status") == "active" and "500" in value(one, "error")["text"]


# -- $events -----------------------------------------------------------------------------------------------------------------------------


def test_events_are_told_again_by_their_numbers(ward: Ward) -> None:
    ward.subscribe()
    for n in range(5):
        ward.put(observation(f"o{n}"))
    ward.run()
    answer = ward.front.get("/fhir/Subscription/s1/$events?eventsSinceNumber=2&eventsUntilNumber=4")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "history" and value(bundle, "type") == "query-event" and value(bundle, "events-since-subscription-start") == "5"
    assert numbers(bundle) == [2, 3, 4] and [f.rpartition("/")[2] for f in focuses(bundle)] == ["o1", "o2", "o3"]
    assert len(bundle["entry"]) == 4 and all("resource" not in e for e in bundle["entry"][1:])
    assert numbers(ward.read("Subscription/s1/$events")) == [1, 2, 3, 4, 5]
    assert numbers(ward.read("Subscription/s1/$events?eventsSinceNumber=9")) == []
    empty = ward.read("Subscription/s1/$events?content=empty")
    assert numbers(empty) == [1, 2, 3, 4, 5] and focuses(empty) == [] and len(empty["entry"]) == 1
    assert ward.front.get("/fhir/Subscription/nobody/$events").status_code == 404
    for text in ("x", "-1", "9" * 40, "²"):
        assert ward.front.get(f"/fhir/Subscription/s1/$events?eventsSinceNumber={text}").status_code == 400


def test_events_that_a_receiver_never_got_can_be_asked_for(ward: Ward) -> None:
    ward.subscribe()
    ward.receiver.answer = (500, {})
    ward.put(observation("o1"))
    ward.run()
    assert numbers(ward.read("Subscription/s1/$events")) == [1] and ward.receiver.numbers == []


def test_both_operations_stand_in_the_capability_statement(ward: Ward) -> None:
    (own,) = [r for r in ward.read("metadata")["rest"][0]["resource"] if r["type"] == "Subscription"]
    assert {"status", "events"} <= {o["name"] for o in own["operation"]}


def test_metrics_tell_what_is_owed(ward: Ward) -> None:
    from gateway.notify.figures import Notifications

    ward.subscribe()
    ward.receiver.answer = (500, {})
    ward.put(observation("o1"))
    ward.run()
    ward.clock.advance(ward.notifier.lease)
    found = {f.name: [(s.labels["subscription"], s.value) for s in f.samples] for f in Notifications(ward.site.database, ward.clock).collect()}
    assert found == {
        "yifang_subscription_waiting": [("s1", 1.0)],
        "yifang_subscription_failing_seconds": [("s1", 60.0)],
        "yifang_subscription_active": [("s1", 1.0)],
    }
