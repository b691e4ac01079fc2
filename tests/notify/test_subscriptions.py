"""A Subscription from its handshake to its end: what is told, in which order, in which shape."""

from __future__ import annotations

from datetime import timedelta

from tests.notify.ward import BASE, START, TOPIC, Ward, focuses, numbers, observation, parameters, subscription, value

STATUS_PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"


def test_a_handshake_that_is_answered_makes_it_active(ward: Ward) -> None:
    ward.subscribe(header=["Authorization: Bearer of-the-receiver"])
    assert ward.status() == "active"
    (shaken,) = ward.receiver.bundles
    assert shaken["type"] == "history" and value(shaken, "type") == "handshake" and value(shaken, "status") == "requested"
    assert value(shaken, "events-since-subscription-start") == "0" and value(shaken, "topic") == TOPIC + "record-changed"
    assert value(shaken, "subscription") == {"reference": f"{BASE}/Subscription/s1"}
    assert shaken["entry"][0]["request"] == {"method": "GET", "url": "Subscription/s1/$status"}
    assert shaken["entry"][0]["resource"]["meta"]["profile"] == [STATUS_PROFILE]
    (request,) = ward.receiver.requests
    assert request.headers["Content-Type"] == "application/fhir+json" and request.headers["Authorization"] == "Bearer of-the-receiver"


def test_events_are_told_in_order_with_numbers_and_without_content(ward: Ward) -> None:
    ward.subscribe()
    for n in range(3):
        ward.put(observation(f"o{n}", valueString="绝不外传的内容"))
    ward.put(observation("o1", status="amended"))
    ward.run()
    (told,) = ward.receiver.told("event-notification")
    assert numbers(told) == [1, 2, 3, 4] and value(told, "events-since-subscription-start") == "4"
    assert focuses(told) == [f"{BASE}/Observation/{i}" for i in ("o0", "o1", "o2", "o1")]
    assert [e["request"] for e in told["entry"][1:]] == [
        *({"method": "POST", "url": "Observation"} for _ in range(3)),
        {"method": "PUT", "url": "Observation/o1"},
    ]
    assert all("resource" not in e for e in told["entry"][1:])
    assert "绝不外传" not in ward.receiver.requests[-1].data.decode()
    ward.run()
    assert len(ward.receiver.told("event-notification")) == 1


def test_what_was_there_before_is_not_told(ward: Ward) -> None:
    ward.put(observation("before"))
    ward.subscribe()
    ward.put(observation("after"))
    ward.run()
    assert ward.receiver.focuses == ["Observation/after"]


def test_empty_content_tells_numbers_only(ward: Ward) -> None:
    ward.subscribe(content="empty")
    ward.put(observation("o1"))
    ward.run()
    (told,) = ward.receiver.told("event-notification")
    assert numbers(told) == [1] and focuses(told) == [] and len(told["entry"]) == 1
    assert "Observation" not in ward.receiver.requests[-1].data.decode()


def test_max_count_splits_notifications(ward: Ward) -> None:
    ward.subscribe(max_count=2)
    for n in range(5):
        ward.put(observation(f"o{n}"))
    ward.run()
    assert [numbers(b) for b in ward.receiver.told("event-notification")] == [[1, 2], [3, 4], [5]]


def test_a_deletion_is_told(ward: Ward) -> None:
    ward.subscribe("Observation?patient=Patient/p1")
    ward.put(observation("o1"))
    ward.run()
    assert ward.front.call("DELETE", "/fhir/Observation/o1").status_code in (200, 204)
    ward.run()
    last = ward.receiver.told("event-notification")[-1]
    assert last["entry"][1]["request"] == {"method": "DELETE", "url": "Observation/o1"}


def test_filters_by_patient_and_code_let_only_theirs_pass(ward: Ward) -> None:
    ward.subscribe("Observation?patient=Patient/p1&code=http://loinc.org|2345-7")
    ward.put(observation("mine"))
    ward.put(observation("other-patient", patient="p2"))
    ward.put(observation("other-code", code="718-7"))
    ward.put({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}})
    ward.run()
    assert ward.receiver.focuses == ["Observation/mine"]


def test_a_filter_without_a_type_holds_for_every_type_of_the_topic(ward: Ward) -> None:
    ward.subscribe("?patient=Patient/p1")
    ward.put({"resourceType": "Patient", "id": "p1", "gender": "female"})
    ward.put({"resourceType": "Patient", "id": "p2", "gender": "male"})
    ward.put({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}})
    ward.put({"resourceType": "Condition", "id": "c2", "subject": {"reference": "Patient/p2"}})
    ward.run()
    assert ward.receiver.focuses == ["Patient/p1", "Condition/c1"]


def test_who_was_told_of_a_resource_is_told_when_it_goes_to_somebody_else(ward: Ward) -> None:
    ward.subscribe("Observation?patient=Patient/p1")
    ward.put(observation("o1", patient="p1"))
    ward.put(observation("o1", patient="p2"))
    ward.put(observation("o1", patient="p2", status="amended"))
    ward.run()
    assert ward.receiver.numbers == [1, 2] and ward.receiver.focuses == ["Observation/o1"] * 2


def test_critical_results_and_their_withdrawal(ward: Ward) -> None:
    ward.subscribe(topic="result-critical")
    ward.put(observation("normal"))
    ward.put(observation("critical", critical="HH"))
    ward.put(observation("critical"))
    ward.put(observation("critical", status="amended"))
    ward.run()
    assert ward.receiver.focuses == ["Observation/critical"] * 2


def test_results_become_available_are_corrected_and_withdrawn(ward: Ward) -> None:
    def report(status: str) -> dict[str, object]:
        return {"resourceType": "DiagnosticReport", "id": "r1", "status": status, "code": {"text": "血常规"}}

    ward.subscribe(topic="result-available")
    told = []
    for status in ("registered", "partial", "final", "corrected", "entered-in-error"):
        ward.put(report(status))
        ward.run()
        told.append(len(ward.receiver.numbers))
    assert told == [0, 1, 2, 3, 4]


def test_a_transaction_is_told_in_one_notification(ward: Ward) -> None:
    ward.subscribe()
    entries = [{"request": {"method": "PUT", "url": f"Observation/t{n}"}, "resource": observation(f"t{n}")} for n in range(3)]
    assert ward.front.write("POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries}).status_code == 200
    ward.run()
    assert sorted(ward.receiver.focuses) == ["Observation/t0", "Observation/t1", "Observation/t2"] and ward.receiver.numbers == [1, 2, 3]


def test_a_heartbeat_comes_when_nothing_else_did(ward: Ward) -> None:
    ward.subscribe(heartbeat_period=60)
    ward.later(seconds=59)
    assert ward.receiver.told("heartbeat") == []
    ward.later(seconds=2)
    assert len(ward.receiver.told("heartbeat")) == 1 and value(ward.receiver.bundles[-1], "status") == "active"
    ward.later(seconds=30)
    ward.put(observation("o1"))
    ward.run()
    ward.later(seconds=59)
    assert len(ward.receiver.told("heartbeat")) == 1
    ward.later(seconds=2)
    assert len(ward.receiver.told("heartbeat")) == 2


def test_off_is_heard_at_once_and_what_happens_meanwhile_is_not_told(ward: Ward) -> None:
    ward.subscribe()
    ward.put(subscription(ward.receiver.url, status="off"))
    ward.put(observation("while-off"))
    ward.run()
    assert ward.receiver.numbers == [] and ward.status() == "off"
    ward.subscribe()
    ward.put(observation("on-again"))
    ward.run()
    assert ward.receiver.focuses == ["Observation/on-again"] and ward.receiver.numbers == [1]


def test_a_deleted_subscription_is_told_nothing_more(ward: Ward) -> None:
    ward.subscribe()
    assert ward.front.call("DELETE", "/fhir/Subscription/s1").status_code in (200, 204)
    ward.put(observation("o1"))
    ward.run()
    assert ward.receiver.numbers == []


def test_its_end_switches_it_off(ward: Ward) -> None:
    ward.put(subscription(ward.receiver.url) | {"end": (START + timedelta(hours=1)).isoformat()})
    ward.run()
    assert ward.status() == "active"
    ward.later(hours=2)
    ward.put(observation("o1"))
    ward.run()
    found = ward.read("Subscription/s1")
    assert found["status"] == "off" and "end" in found["error"] and ward.receiver.numbers == []


def test_two_subscriptions_are_numbered_by_themselves(ward: Ward) -> None:
    ward.subscribe("Observation?code=http://loinc.org|2345-7", id_="a")
    ward.put(observation("o1"))
    ward.subscribe(id_="b")
    ward.put(observation("o2"))
    ward.put(observation("o3", code="718-7"))
    ward.run()
    by = {
        i: [n for b in ward.receiver.told("event-notification") if value(b, "subscription")["reference"].endswith(i) for n in numbers(b)]
        for i in "ab"
    }
    assert by == {"a": [1, 2], "b": [1, 2]}
    assert all(p["name"] != "error" for b in ward.receiver.bundles for p in parameters(b))
