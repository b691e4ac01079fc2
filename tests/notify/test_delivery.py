"""A receiver that fails, a gateway that restarts, two processes, a transaction that commits late: every event, in order, once in effect."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from werkzeug import Request

from gateway.commands import execute
from gateway.store import subscriptions
from gateway.store.raw import Raw
from tests.notify.ward import Ward, numbers, observation, subscription


def standing(ward: Ward) -> subscriptions.Standing:
    found = subscriptions.standing(ward.site.database, "s1")
    assert found is not None
    return found


def test_a_receiver_that_was_down_for_a_day_gets_everything_in_order(ward: Ward) -> None:
    ward.subscribe(max_count=3)
    ward.receiver.answer = (503, {})
    for n in range(8):
        ward.put(observation(f"o{n}"))
        ward.later(hours=3)
    assert ward.receiver.refused == 8 and ward.receiver.numbers == [] and ward.status() == "active"
    ward.receiver.answer = (200, {})
    ward.later(hours=1)
    assert ward.receiver.numbers == list(range(1, 9)) and ward.receiver.focuses == [f"Observation/o{n}" for n in range(8)]
    s = standing(ward)
    assert (s.attempts, s.failing, s.error) == (0, None, None)


def test_pauses_between_repeats_grow_and_retry_after_is_kept(ward: Ward) -> None:
    ward.subscribe()
    ward.put(observation("o1"))
    ward.receiver.answer = (500, {})
    pauses = []
    ward.run()
    for _ in range(4):
        pauses.append(standing(ward).due - int(ward.clock.now().timestamp() * 1_000_000))
        ward.later(seconds=pauses[-1] / 1_000_000)
    assert [p / 1_000_000 for p in pauses] == [10, 20, 40, 80]  # the first pause is 10 s, and chance is 1 in this ward
    ward.receiver.answer = (429, {"Retry-After": "900"})
    ward.later(seconds=200)
    assert standing(ward).due - int(ward.clock.now().timestamp() * 1_000_000) == 900_000_000
    ward.receiver.answer = (429, {"Retry-After": "9" * 30})
    ward.later(seconds=900)
    assert standing(ward).due - int(ward.clock.now().timestamp() * 1_000_000) == 86_400_000_000


def test_a_lost_answer_brings_the_same_events_again_under_the_same_numbers(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.subscribe()
    ward.put(observation("o1"))

    def crash(*_: Any) -> bool:
        raise OSError("the process died here")

    with monkeypatch.context() as patch:
        patch.setattr(subscriptions, "settle", crash)
        ward.notifier.tend()
        ward.notifier.step()
    ward.put(observation("o2"))
    ward.later(minutes=10)
    first, again = ward.receiver.told("event-notification")
    assert numbers(first) == [1] and numbers(again) == [1, 2]
    assert standing(ward).sent == 2


def test_a_restart_in_the_middle_loses_and_doubles_nothing(ward: Ward) -> None:
    ward.subscribe(max_count=1)
    for n in range(4):
        ward.put(observation(f"o{n}"))
    ward.notifier.tend()
    ward.notifier.step()
    ward.restart()
    ward.put(observation("o4"))
    ward.run()
    assert ward.receiver.numbers == [1, 2, 3, 4, 5] and ward.receiver.focuses == [f"Observation/o{n}" for n in range(5)]


def test_a_process_that_died_while_it_told_is_followed_by_another(ward: Ward) -> None:
    ward.subscribe()
    ward.put(observation("o1"))
    ward.notifier.tend()
    now = int(ward.clock.now().timestamp() * 1_000_000)
    assert subscriptions.claim(ward.site.database, "dead", now, now + 60_000_000) is not None
    ward.run()
    assert ward.receiver.numbers == []
    ward.later(seconds=61)
    assert ward.receiver.numbers == [1]


def test_two_processes_do_not_tell_at_once_and_give_every_number_once(ward: Ward) -> None:
    ward.subscribe(max_count=2)
    for n in range(12):
        ward.put(observation(f"o{n}"))
    busy, most, lock = [0], [0], threading.Lock()

    def slowly() -> None:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.02)
        with lock:
            busy[0] -= 1

    ward.receiver.before = slowly
    others = [ward.notifier, ward.another()]

    def process(notifier: Any, worker: str) -> None:
        for _ in range(30):
            notifier.tend()
            notifier.step(worker)
        notifier.hook.close()

    threads = [threading.Thread(target=process, args=(n, f"w{i}")) for i, n in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ward.receiver.numbers == list(range(1, 13)) and most[0] == 1
    assert ward.receiver.focuses == [f"Observation/o{n}" for n in range(12)]


@pytest.mark.postgres
@pytest.mark.parametrize("ward", ["postgresql"], indirect=True)
def test_a_transaction_that_is_open_for_two_seconds_is_not_skipped(ward: Ward) -> None:
    """It took its place in the timeline first and commits last."""
    ward.subscribe()
    ward.put(observation("late"))  # version 1, told below by the number it gets
    ward.run()
    raw = ward.site.database.raw()
    try:
        cursor = raw.cursor()
        cursor.execute("BEGIN")
        writing = Raw(cursor, "postgresql")
        seq = writing.sequence()
        time_ = int(ward.clock.now().timestamp() * 1_000_000)
        resources = '[["Observation","late",1]]'
        row = (seq, time_, "api-update", "", None, None, None, "", resources)
        names = ("seq", "time", "kind", "source", "message", "record", "version", "actor", "resources")
        writing.insert("event", names, [row])
        began = time.monotonic()
        n = 0
        while time.monotonic() - began < 2:
            ward.put(observation(f"o{n}"))
            ward.run()
            n += 1
        assert ward.receiver.focuses == ["Observation/late"]  # nothing behind the open transaction is told before it ends
        cursor.execute("COMMIT")
    finally:
        raw.close()
    ward.run()
    assert ward.receiver.focuses == ["Observation/late"] * 2 + [f"Observation/o{i}" for i in range(n)] and n > 1
    assert ward.receiver.numbers == list(range(1, n + 3))


# -- what ends it ----------------------------------------------------------------------------------------------------------------------


def test_a_refused_handshake_is_an_error_with_its_reason(ward: Ward) -> None:
    ward.receiver.answer = (403, {})
    ward.subscribe()
    found = ward.read("Subscription/s1")
    assert found["status"] == "error" and "403" in found["error"] and "restart" in found["error"]
    ward.receiver.answer = (200, {})
    ward.later(days=2)
    assert ward.status() == "error" and ward.receiver.bundles == []  # never by itself
    ward.subscribe()
    assert ward.status() == "active" and "error" not in ward.read("Subscription/s1")


def test_a_receiver_that_is_away_at_the_handshake_is_tried_again(ward: Ward) -> None:
    ward.receiver.answer = (503, {})
    ward.subscribe()
    assert ward.status() == "requested"
    ward.receiver.answer = (200, {})
    ward.later(seconds=11)
    assert ward.status() == "active"


def test_a_redirect_is_not_followed(ward: Ward) -> None:
    ward.receiver.answer = (307, {"Location": ward.receiver.server.url_for("/elsewhere")})
    ward.subscribe()
    assert ward.status() == "error" and "转向" in ward.read("Subscription/s1")["error"]


def test_after_three_days_without_success_it_stops_says_why_and_goes_on_where_it_stopped(ward: Ward) -> None:
    ward.subscribe()
    ward.receiver.answer = (500, {})
    ward.put(observation("o1"))
    for _ in range(73):
        ward.later(hours=1)
    found = ward.read("Subscription/s1")
    assert found["status"] == "error" and "72" in found["error"] and "500" in found["error"]
    checks = [c for c in execute(ward.site, "doctor", {})["checks"] if c["name"] == "订阅 s1"]
    assert [c["state"] for c in checks] == ["fault"] and "500" in checks[0]["text"] and "待发 1" in checks[0]["text"]
    refused = ward.receiver.refused
    ward.put(observation("o2"))
    ward.receiver.answer = (200, {})
    ward.later(days=5)
    assert ward.status() == "error" and ward.receiver.refused == refused and ward.receiver.numbers == []
    assert execute(ward.site, "subscriptions.restart", {"subscription": "s1"}) == {"id": "s1", "state": "requested"}
    ward.run()
    assert ward.status() == "active" and ward.receiver.numbers == [1, 2]
    assert ward.receiver.focuses == ["Observation/o1", "Observation/o2"]


def test_while_it_fails_doctor_and_status_say_so(ward: Ward) -> None:
    ward.subscribe()
    ward.receiver.answer = (500, {})
    ward.put(observation("o1"))
    ward.run()
    (check,) = [c for c in execute(ward.site, "doctor", {})["checks"] if c["name"] == "订阅 s1"]
    assert check["state"] == "remark" and "待发 1" in check["text"]
    (view,) = execute(ward.site, "subscriptions.list", {})
    assert view["waiting"] == 1 and view["attempts"] == 1 and view["state"] == "active" and view["client"] == "demo"


def test_an_address_that_is_no_longer_allowed_is_not_told(ward: Ward) -> None:
    ward.subscribe()
    ward.restart(notify={"endpoints": []})
    ward.put(observation("o1"))
    ward.run()
    assert ward.receiver.numbers == [] and ward.status() == "error" and "endpoints" in ward.read("Subscription/s1")["error"]


def test_a_client_that_is_no_longer_configured_is_not_told(ward: Ward) -> None:
    ward.subscribe()
    client = {"name": "lis", "organisation": "390121", "role": "operator", "token_sha256": "0" * 64}
    ward.put(observation("o1"))
    ward.restart(client=[client])
    ward.run()
    assert ward.receiver.numbers == []
    found = ward.site.gateway.database
    (s,) = subscriptions.standings(found)
    assert s.state == "error" and s.error is not None and "[[client]]" in s.error


def test_what_the_gateway_writes_of_a_subscription_is_no_word_of_a_client(ward: Ward) -> None:
    ward.subscribe()
    history = ward.read("Subscription/s1/_history")["entry"]
    assert [e["resource"]["status"] for e in history] == ["active", "requested"]
    ward.later(days=1)
    assert len(ward.read("Subscription/s1/_history")["entry"]) == 2


def test_a_change_of_the_filter_holds_from_then_on(ward: Ward) -> None:
    ward.subscribe("Observation?patient=Patient/p1")
    ward.put(observation("a", patient="p1"))
    ward.run()
    ward.put(subscription(ward.receiver.url, "record-changed", "Observation?patient=Patient/p2"))
    ward.run()
    ward.put(observation("b", patient="p1"))
    ward.put(observation("c", patient="p2"))
    ward.run()
    assert ward.receiver.focuses == ["Observation/a", "Observation/c"] and ward.receiver.numbers == [1, 2]


def test_what_is_delivered_is_forgotten_after_its_days(ward: Ward) -> None:
    ward.subscribe()
    ward.put(observation("o1"))
    ward.run()
    ward.later(days=29)
    assert len(subscriptions.events(ward.site.database, "s1", 1, 9, 9)) == 1
    ward.later(days=2)
    assert subscriptions.events(ward.site.database, "s1", 1, 9, 9) == []
    assert standing(ward).number == 1


def test_threads_tell_until_they_are_stopped(ward: Ward) -> None:
    stop = threading.Event()
    threads = ward.notifier.threads(stop)
    for thread in threads:
        thread.start()
    try:
        arrived = threading.Event()
        ward.receiver.before = lambda: arrived.set() if ward.receiver.bundles else None
        ward.put(subscription(ward.receiver.url))
        until = time.monotonic() + 20
        while ward.status() != "active" and time.monotonic() < until:
            time.sleep(0.05)
        ward.put(observation("o1"))
        assert arrived.wait(20)
    finally:
        stop.set()
        ward.notifier.wake()
        for thread in threads:
            thread.join()
    assert isinstance(ward.receiver.requests[0], Request) and timedelta(0) < ward.notifier.lease
