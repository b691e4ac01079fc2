"""Requests that are answered later (https://hl7.org/fhir/R4/async.html, https://hl7.org/fhir/R5/async-bundle.html)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle

from gateway.clock import SetClock
from gateway.config import token_hash
from gateway.http.app import Guard, create_app
from gateway.http.callers import DEMO
from gateway.http.registry import registry
from gateway.store import jobs
from gateway.store.jobs import Bounds
from tests.http.conftest import Front, Opened, listening
from tests.http.test_writes import basic

LATER = {"Prefer": "respond-async"}
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def ward(api: Front) -> Front:
    """Three Basics and a Patient."""
    for n in (1, 2, 3):
        api.write("PUT", f"/fhir/Basic/as{n}", basic(id=f"as{n}", identifier=[{"system": "urn:as", "value": str(n)}]))
    api.write("PUT", "/fhir/Patient/asp", {"resourceType": "Patient", "id": "asp"})
    return api


@pytest.fixture(scope="module")
def client(ward: Front) -> Iterator[httpx.Client]:
    """A client of a gateway that listens: what is asked for goes on between its requests."""
    with listening(ward) as base, httpx.Client(base_url=base) as made:
        yield made


def fetched(client: httpx.Client, place: str, **headers: str) -> httpx.Response:
    """The answer behind an address, when it is there."""
    for _ in range(400):
        answer = client.get(place, headers=headers)
        if answer.status_code != 202:
            return answer
        time.sleep(0.02)
    raise AssertionError("not answered in time")


def settled(client: httpx.Client, answer: httpx.Response) -> Any:
    """The one entry that an accepted request comes to."""
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async"), answer.text
    assert answer.json()["issue"][0]["severity"] == "information"
    done = fetched(client, answer.headers["content-location"])
    Bundle.model_validate_json(done.content)
    body = done.json()
    assert (done.status_code, body["type"], len(body["entry"])) == (200, "batch-response", 1)
    return body["entry"][0]


@contextmanager
def held(front: Front) -> Iterator[threading.Event]:
    """Searches of the gateway wait until the block ends."""
    assert isinstance(front.app, Guard)
    searcher = front.app.fhir.backend.searcher
    search, go = searcher.search, threading.Event()

    def waiting(*asked: Any, **more: Any) -> Any:
        assert go.wait(30)
        return search(*asked, **more)

    searcher.search = waiting  # type: ignore[method-assign]
    try:
        yield go
    finally:
        go.set()
        searcher.search = search  # type: ignore[method-assign]


def test_the_answer_is_what_the_request_would_have_been_answered_at_once(client: httpx.Client) -> None:
    for path in (
        "/Basic?identifier=urn:as|",
        "/?_type=Basic&identifier=urn:as|2",
        "/Patient/asp/*",
        "/Basic/as1/_history",
        "/Patient/asp/$everything",
    ):
        at_once = client.get(path)
        entry = settled(client, client.get(path, headers=LATER))
        assert (entry["response"]["status"], entry["resource"]) == ("200 OK", at_once.json()), path
    posted = client.post("/Basic/_search", data={"identifier": "urn:as|3"}, headers=LATER)
    assert [e["resource"]["id"] for e in settled(client, posted)["resource"]["entry"]] == ["as3"]


def test_a_fault_is_the_status_and_outcome_of_the_entry(client: httpx.Client) -> None:
    entry = settled(client, client.get("/Patient/nobody/$everything", headers=LATER | {"Accept-Language": "en"}))
    assert entry["response"]["status"] == "404 Not Found"
    assert entry["response"]["outcome"]["issue"][0]["details"]["text"] == "Patient/nobody is not known"
    entry = settled(client, client.get("/Basic?_count=x", headers=LATER))
    assert entry["response"]["status"] == "400 Bad Request"
    assert "resource" not in entry


def test_a_request_that_cannot_be_understood_is_refused_at_once(client: httpx.Client) -> None:
    assert client.get("/Nothing", headers=LATER).status_code == 404
    assert client.get("/Basic", headers=LATER | {"Accept": "image/png"}).status_code == 406


def test_a_transaction_and_a_batch_are_done_later(client: httpx.Client) -> None:
    entry = {"resource": basic(id="later"), "request": {"method": "PUT", "url": "Basic/later"}}
    done = settled(client, client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}, headers=fhir(LATER)))
    assert (done["resource"]["type"], done["resource"]["entry"][0]["response"]["status"]) == ("transaction-response", "201 Created")
    assert client.get("/Basic/later").status_code == 200
    reads = [{"request": {"method": "GET", "url": f"Basic/{name}"}} for name in ("later", "never")]
    done = settled(client, client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": reads}, headers=fhir(LATER)))
    assert [e["response"]["status"] for e in done["resource"]["entry"]] == ["200 OK", "404 Not Found"]


def fhir(headers: dict[str, str]) -> dict[str, str]:
    """With the type of a FHIR body."""
    return headers | {"Content-Type": "application/fhir+json"}


def test_what_is_quick_is_answered_at_once(client: httpx.Client) -> None:
    assert client.get("/Basic/as1", headers=LATER).json()["id"] == "as1"
    assert client.put("/Basic/quick", json=basic(id="quick"), headers=fhir(LATER)).status_code == 201
    assert client.head("/Basic", headers=LATER).status_code == 200
    assert client.get("/metadata", headers=LATER).status_code == 200


def test_while_it_is_in_work_it_says_so_and_when_to_come_again(ward: Front, client: httpx.Client) -> None:
    with held(ward):
        place = client.get("/Basic?identifier=urn:as|1", headers={"Prefer": "handling=strict; respond-async"}).headers["content-location"]
        answer = client.get(place)
        assert (answer.status_code, answer.content) == (202, b"")
        assert answer.headers["x-progress"].startswith("in work for ")
        assert 1 <= int(answer.headers["retry-after"]) <= 30
    done = fetched(client, place)
    assert [e["resource"]["id"] for e in done.json()["entry"][0]["resource"]["entry"]] == ["as1"]
    assert "expires" in done.headers
    assert fetched(client, place).content == done.content
    xml = fetched(client, place, Accept="application/fhir+xml")
    assert xml.headers["content-type"].startswith("application/fhir+xml") and "<batch-response" not in xml.text and 'value="as1"' in xml.text


def test_delete_ends_it_in_work_or_done(ward: Front, client: httpx.Client) -> None:
    with held(ward):
        place = client.get("/Basic", headers=LATER).headers["content-location"]
        assert client.delete(place).status_code == 202
        assert client.get(place).status_code == 404
    place = client.get("/Basic", headers=LATER).headers["content-location"]
    assert fetched(client, place).status_code == 200
    assert (client.delete(place).status_code, client.delete(place).status_code, client.get(place).status_code) == (202, 404, 404)
    assert client.post(place).status_code == 405
    assert client.get("/_async").status_code == 404


def test_the_answer_outlives_the_process_and_what_was_in_work_is_told_as_interrupted(ward: Front, client: httpx.Client) -> None:
    place = client.get("/Basic?identifier=urn:as|1", headers=LATER).headers["content-location"]
    content = fetched(client, place).content
    again = Front(ward.site, create_app(ward.site, list, ward.site.gateway.metrics.registry), [])
    assert again.get("/fhir/_async/" + place.rpartition("/")[2]).content == content
    database, now = ward.site.database, int(time.time() * 1_000_000)
    assert jobs.begin(database, ("dead", "request"), DEMO.client, now - 120_000_000, now - 60_000_000, Bounds(9, 99, HOUR))
    entry = again.get("/fhir/_async/dead").json()["entry"][0]
    assert entry["response"]["status"] == "503 Service Unavailable"
    assert "Idempotency-Key" in entry["response"]["outcome"]["issue"][0]["details"]["text"]


@pytest.fixture(scope="module")
def two(opened: Opened) -> Front:
    """A gateway with two clients, each of whom may have two requests in work and two answers kept, for an hour."""
    clients = [{"name": n, "organisation": "Y1", "role": "clinician", "token_sha256": token_hash(n)} for n in ("one", "other")]
    return opened(client=clients, http={"async_running": 2, "async_kept": 2, "async_hours": 1})


def test_only_who_asked_may_see_it_and_only_so_many_at_a_time_and_for_so_long(two: Front) -> None:
    assert isinstance(two.app, Guard)
    clock = two.app.fhir.backend.tasks.clock = SetClock(datetime.now(UTC))
    with listening(two) as base, httpx.Client(base_url=base) as client:
        one, other = ({"Authorization": f"Bearer {name}"} for name in ("one", "other"))
        with held(two):
            first, second = (client.get("/Basic", headers=LATER | one).headers["content-location"] for _ in "12")
            refused = client.get("/Basic", headers=LATER | one)
            assert (refused.status_code, refused.json()["issue"][0]["code"]) == (429, "throttled")
            assert int(refused.headers["retry-after"]) > 0
            assert client.get("/Basic", headers=LATER | other).status_code == 202
            assert client.get(first, headers=other).status_code == 404
            assert client.delete(first, headers=other).status_code == 404
            assert client.get(first).status_code == 401
            assert client.get(first, headers=one).status_code == 202
        assert {fetched(client, place, **one).status_code for place in (first, second)} == {200}
        assert client.get("/Basic", headers=LATER | one).status_code == 202
        assert sorted(client.get(place, headers=one).status_code for place in (first, second)) == [200, 404]
        clock.advance(timedelta(hours=1))
        assert {client.get(place, headers=one).status_code for place in (first, second)} == {404}


def test_what_may_take_long_is_registered_so() -> None:
    told = {i.code for i in registry().interactions if i.lasting} | {"$" + o.name for o in registry().operations if o.lasting}
    codes = {"search-type", "search-system", "history-instance", "history-type", "history-system", "batch", "transaction"}
    assert told == codes | {"$everything", "$lastn", "$meta"}
