"""batch and transaction (https://hl7.org/fhir/R4/http.html#transaction), on both engines."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle

from tests.http.conftest import Front, Opened
from tests.http.test_writes import basic, observation, rows

URN = "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e05"


def entry(method: str, url: str, resource: dict[str, Any] | None = None, full_url: str = "", **request: str) -> dict[str, Any]:
    """One entry; request: further elements such as ifMatch."""
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def send(front: Front, type_: str, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    """Posts a Bundle."""
    return front.write("POST", "/fhir", {"resourceType": "Bundle", "type": type_, "entry": list(entries)}, **headers)


def statuses(answer: httpx.Response) -> list[str]:
    """Status of each entry."""
    Bundle.model_validate_json(answer.content)
    return [e["response"]["status"] for e in answer.json()["entry"]]


def count(front: Front) -> tuple[int, ...]:
    """How much the store holds of everything that a write makes."""
    tables = ("resource", "resource_history", "event", "message", "delivery", "index_row", "source_patient")
    return tuple(rows(front, f"SELECT count(*) FROM {t}")[0][0] for t in tables)


def test_a_transaction_resolves_placeholders_and_answers_in_order(api: Front) -> None:
    patient = {"resourceType": "Patient", "name": [{"text": "欧阳桐"}]}
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}1">x</a></div>'
    seen = observation() | {
        "subject": {"reference": f"{URN}1"},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"{URN}1"}],
        "text": {"status": "generated", "div": narrative},
    }
    answer = send(
        api,
        "transaction",
        entry("GET", "Patient/nobody-here"),
        entry("POST", "Observation", seen, f"{URN}2"),
        entry("POST", "Patient", patient, f"{URN}1"),
        entry("PUT", "Basic/t1", basic(id="t1", subject={"reference": f"{URN}1"})),
    )
    assert answer.status_code == 200
    assert statuses(answer) == ["404 Not Found", "201 Created", "201 Created", "201 Created"]
    said = [e["response"] for e in answer.json()["entry"]]
    assert answer.json()["type"] == "transaction-response"
    patient_id = said[2]["location"].split("/")[1]
    found = api.get(f"/fhir/{said[1]['location'].rpartition('/_history')[0]}").json()
    assert found["subject"]["reference"] == f"Patient/{patient_id}"
    assert f'href="Patient/{patient_id}"' in found["text"]["div"]
    assert found["identifier"][0]["value"] == f"{URN}1", "a value is no link"
    assert api.get("/fhir/Basic/t1").json()["subject"]["reference"] == f"Patient/{patient_id}"
    assert said[1]["etag"] == 'W/"1"' and said[1]["lastModified"].endswith("Z")
    assert api.get(f"/fhir/Observation?patient={patient_id}").json()["total"] == 1
    events = rows(api, "SELECT kind, resources FROM event ORDER BY seq DESC LIMIT 1")
    assert events[0][0] == "api-transaction"
    assert events[0][1].count("[") == 4, "one event for all three"


def test_a_transaction_is_all_or_nothing(opened: Opened) -> None:
    front = opened(destination=[{"name": "hub", "url": "http://127.0.0.1:1/fhir"}])
    front.write("PUT", "/fhir/Basic/kept", basic(id="kept"))
    before = count(front)
    answer = send(
        front,
        "transaction",
        entry("POST", "Patient", {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}),
        entry("DELETE", "Basic/kept"),
        entry("PUT", "Basic/other", basic(id="other"), ifMatch='W/"3"'),
    )
    assert answer.status_code == 412
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[2]"]
    assert count(front) == before
    assert front.get("/fhir/Basic/kept").status_code == 200
    done = send(front, "transaction", entry("POST", "Basic", basic()), entry("DELETE", "Basic/kept"))
    assert statuses(done) == ["201 Created", "204 No Content"]
    after = count(front)
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 1, 1, 0, 0], "one event, one message, one delivery"


@pytest.mark.parametrize(
    ("entries", "status", "where"),
    [
        ([entry("PUT", "Basic/a", basic(id="a")), entry("DELETE", "Basic/a")], 400, 1),
        ([entry("PUT", "Basic/a", basic(id="a")), entry("PUT", "Basic/b", basic(id="a"))], 400, 1),
        ([entry("POST", "Basic", basic()), entry("POST", "Basic")], 400, 1),
        ([entry("POST", "Basic", basic()), {"resource": basic()}], 400, 1),
        ([entry("POST", "Basic", basic()), entry("BREW", "Basic")], 400, 1),
        ([entry("POST", "Basic", basic()), entry("POST", "Nothing", basic())], 404, 1),
        ([entry("POST", "Basic", basic(subject={"reference": "Patient?identifier=urn:x|none"}))], 412, 0),
        ([entry("POST", "Basic", basic()), entry("POST", "Basic", basic(), ifNoneExist="")], 412, 1),
    ],
)
def test_a_transaction_that_cannot_be_done_names_the_entry(api: Front, entries: list[dict[str, Any]], status: int, where: int) -> None:
    before = count(api)
    answer = send(api, "transaction", *entries)
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["expression"][0].startswith(f"Bundle.entry[{where}]")
    assert count(api) == before


def test_conditions_in_a_transaction(api: Front) -> None:
    device = {"resourceType": "Device", "identifier": [{"system": "urn:t", "value": "d1"}]}
    use = {"resourceType": "Basic", "code": {"text": "x"}, "author": {"reference": f"{URN}7"}}
    both = (entry("POST", "Device", device, f"{URN}7", ifNoneExist="identifier=urn:t|d1"), entry("POST", "Basic", use))
    first, second = send(api, "transaction", *both), send(api, "transaction", *both)
    assert (statuses(first), statuses(second)) == (["201 Created", "201 Created"], ["200 OK", "201 Created"])
    locations = [a.json()["entry"][0]["response"]["location"] for a in (first, second)]
    assert locations[0] == locations[1]
    for answer in (first, second):
        made = api.get("/fhir/" + answer.json()["entry"][1]["response"]["location"]).json()
        assert made["author"]["reference"] == locations[0].rpartition("/_history")[0]
    changed = send(
        api,
        "transaction",
        entry("PUT", "Device?identifier=urn:t|d1", device | {"lotNumber": "2"}, f"{URN}8"),
        entry("POST", "Basic", basic(author={"reference": "Device?identifier=urn:t|d1"})),
    )
    assert statuses(changed) == ["200 OK", "201 Created"]
    made = api.get("/fhir/" + changed.json()["entry"][1]["response"]["location"]).json()
    assert f"{made['author']['reference']}/_history/1" == locations[0]
    twice = send(api, "transaction", entry("PUT", "Device?identifier=urn:t|d1", device), entry("DELETE", "/".join(locations[0].split("/")[:2])))
    assert twice.status_code == 400
    assert twice.json()["issue"][0]["code"] == "duplicate"
    gone = send(api, "transaction", entry("DELETE", "Device?identifier=urn:t|d1"), entry("DELETE", "Device?identifier=urn:t|never"))
    assert statuses(gone) == ["204 No Content", "204 No Content"]


def test_the_same_conditional_create_in_two_entries_fails_the_whole(api: Front) -> None:
    device = {"resourceType": "Device", "identifier": [{"system": "urn:t", "value": "same"}]}
    api.write("POST", "/fhir/Device", device)
    twice = send(api, "transaction", *[entry("POST", "Device", device, ifNoneExist="identifier=urn:t|same")] * 2)
    assert (twice.status_code, twice.json()["issue"][0]["code"]) == (400, "duplicate")


def test_a_batch_answers_every_entry_for_itself(api: Front) -> None:
    api.write("PUT", "/fhir/Basic/b1", basic(id="b1"))
    answer = send(
        api,
        "batch",
        entry("GET", "Basic/b1"),
        entry("PUT", "Basic/b2", basic(id="b2")),
        entry("PUT", "Basic/b3", basic(id="other")),
        entry("DELETE", "Basic/b1"),
        entry("GET", "Basic?_id=b2"),
        entry("BREW", "Basic"),
        entry("GET", "Basic?_sort=&_count=x"),
    )
    assert answer.status_code == 200
    assert statuses(answer) == ["410 Gone", "201 Created", "400 Bad Request", "204 No Content", "200 OK", "400 Bad Request", "400 Bad Request"]
    entries = answer.json()["entry"]
    assert entries[4]["resource"]["total"] == 1
    assert entries[2]["response"]["outcome"]["issue"][0]["code"] == "invalid"
    assert "resource" not in entries[1]
    whole = send(api, "batch", entry("PUT", "Basic/b2", basic(id="b2", created="2026-01-01")), Prefer="return=representation")
    assert whole.json()["entry"][0]["resource"]["created"] == "2026-01-01"


def test_only_bundles_are_posted_to_the_base(api: Front) -> None:
    assert api.write("POST", "/fhir", basic()).status_code == 400
    assert send(api, "collection").status_code == 400
    assert send(api, "transaction").json()["type"] == "transaction-response"
    assert api.get("/fhir/").status_code in (200, 405, 400)


def test_a_repeated_transaction_is_done_once(api: Front) -> None:
    bundle = (entry("POST", "Basic", basic(created="2026-05-05")), entry("POST", "Basic", basic(created="2026-05-06")))
    first, again = (send(api, "transaction", *bundle, Idempotency_Key="t-1") for _ in range(2))
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"
    assert (
        len(rows(api, "SELECT id FROM resource WHERE type = 'Basic' AND id = :id", id=first.json()["entry"][0]["response"]["location"].split("/")[1]))
        == 1
    )


def test_dangling_references_are_refused_where_the_site_says_so(opened: Opened) -> None:
    front = opened(http={"max_body": 65536, "check_references": True})
    refused = front.write("POST", "/fhir/Observation", observation("nobody"))
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (422, "not-found")
    assert "Patient/nobody" in refused.json()["issue"][0]["details"]["text"]
    front.write("PUT", "/fhir/Patient/known", {"resourceType": "Patient", "id": "known"})
    assert front.write("POST", "/fhir/Observation", observation("known")).status_code == 201
    together = send(front, "transaction", entry("POST", "Observation", observation() | {"subject": {"reference": f"{URN}1"}}),
                    entry("POST", "Patient", {"resourceType": "Patient"}, f"{URN}1"))  # fmt: skip
    assert statuses(together) == ["201 Created", "201 Created"]
    front.call("DELETE", "/fhir/Patient/known")
    assert front.write("POST", "/fhir/Observation", observation("known")).status_code == 422


def test_dangling_references_are_accepted_by_default_and_found(api: Front) -> None:
    assert api.write("POST", "/fhir/Observation", observation("comes-later")).status_code == 201
    assert api.get("/fhir/Observation?subject=Patient/comes-later").json()["total"] == 1


def test_others_are_served_while_a_large_bundle_is_checked(opened: Opened) -> None:
    """No single stretch of the event loop takes as long as the whole Bundle."""
    front = opened(http={"max_body": 1 << 22})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry("POST", "Observation", observation("x", n)) for n in range(600)]}
    content = msgspec.json.encode(bundle)
    done: list[str] = []

    async def both() -> None:
        transport = httpx.ASGITransport(front.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:

            async def send_all() -> None:
                answer = await client.post("/fhir", content=content, headers={"Content-Type": "application/fhir+json"})
                assert len(answer.json()["entry"]) == 600
                done.append("bundle")

            async def read() -> None:
                await client.get("/fhir/Patient/nobody")
                done.append("read")

            task = asyncio.create_task(send_all())
            while not task.done():
                await read()
                await asyncio.sleep(0)  # in one process nothing else makes a read wait
            await task

    asyncio.run(both())
    assert done.index("bundle") >= 10, "reads were answered meanwhile"
