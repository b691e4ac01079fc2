"""`POST /ingest/{source}`: what each sender is told, and what is kept of what was refused (docs/api.md)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from concurrent.futures import Future

import pytest

from gateway.errors import TransientError
from gateway.record import Incoming, Receipt
from gateway.store import messages
from tests.http.conftest import MAX_BODY, Front, Opened
from tests.village import body, reading

CLIENTS = [
    {"name": "village-app", "organisation": "390121103101", "role": "clinician", "token_sha256": hashlib.sha256(b"one").hexdigest()},
    {"name": "platform", "organisation": "390121101001", "role": "clinician", "token_sha256": hashlib.sha256(b"two").hexdigest()},
]


def test_200_written_and_200_again_with_the_first_outcome(front: Front) -> None:
    first = front.post(body(reading(100, 100)))
    again = front.post(body(reading(100, 100)))
    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["state"], again.json()["state"]) == ("mapped", "repeat")
    assert [r["type"] for r in first.json()["records"][0]["resources"]] == ["Patient", "Observation", "Observation"]
    assert again.headers["x-message-id"] == first.headers["x-message-id"] == str(first.json()["message"])


def test_202_kept_for_a_person_with_the_source_column_and_the_next_step(front: Front) -> None:
    answer = front.post(body(reading(101, 102, glucose={"value": "90", "timing": "1"})))
    assert answer.status_code == 202
    finding = answer.json()["findings"][0]
    assert (finding["code"], finding["severity"], finding["source"]) == ("impossible-value", "hold", "/glucose/value")
    assert "请核对" in finding["message"]
    assert answer.json()["records"][0]["resources"] == []


def test_207_tells_each_record_and_the_rest_of_the_batch_goes_on(front: Front) -> None:
    answer = front.post(body(reading(102, 104), reading(103, 104, bp={"systolic": "900", "diastolic": "80"})))
    assert answer.status_code == 207
    assert [(r["position"], r["state"]) for r in answer.json()["records"]] == [("记录 1", "written"), ("记录 2", "held")]


def test_422_is_an_operation_outcome_and_the_bytes_are_kept(front: Front) -> None:
    answer = front.post(b'{"a": ')
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    issue = answer.json()["issue"][0]
    assert (issue["severity"], issue["code"]) == ("error", "structure")
    assert "第1行" in issue["details"]["text"]
    kept = int(answer.headers["x-message-id"])
    assert messages.show(front.site.database, kept).state == "refused"
    assert b"".join(messages.content(front.site.database, kept)) == b'{"a": '
    english = front.post(b'{"b": ', Accept_Language="en-GB,en")
    assert english.json()["issue"][0]["details"]["text"].isascii()


def test_413_keeps_head_size_and_digest(front: Front) -> None:
    content = b"[" + b"1," * MAX_BODY
    answer = front.post(content)
    assert answer.status_code == 413
    text = answer.json()["issue"][0]["details"]["text"]
    assert hashlib.sha256(content).hexdigest() in text
    assert f"{len(content)} 字节" in text
    assert answer.json()["issue"][0]["code"] == "too-long"
    kept = messages.show(front.site.database, int(answer.headers["x-message-id"]))
    assert kept.state == "refused"
    assert b"".join(messages.content(front.site.database, kept.id)) == content[:4096]


def test_a_body_without_length_is_bounded_too(front: Front) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 4096
            yield b" " * 4096

    assert front.post(endless()).status_code == 413
    assert read <= MAX_BODY * 8 + 2 * 4096, "an endless body is not read for ever"


def test_a_body_of_exactly_the_limit_is_taken(front: Front) -> None:
    content = body(reading(104, 106))
    padded = content[:-1] + b" " * (MAX_BODY - len(content)) + b"}"
    assert len(padded) == MAX_BODY
    assert front.post(padded).status_code == 200
    assert front.post(padded + b" ").status_code == 413


def test_404_unknown_source(front: Front) -> None:
    answer = front.post(b"{}", source="nobody")
    assert answer.status_code == 404
    assert answer.json()["issue"][0]["code"] == "not-found"


def test_503_when_it_could_not_be_stored_says_when_to_come_again(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: Future[Receipt] = Future()
    failed.set_exception(TransientError("disk full"))

    def offer(source: str, incoming: Incoming) -> Future[Receipt]:
        return failed

    monkeypatch.setattr(front.site.gateway, "offer", offer)
    answer = front.post(body(reading(105, 108)))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["issue"][0]["code"] == "transient"
    assert "disk" not in answer.text


def test_401_without_a_known_token_and_403_for_a_source_that_is_not_the_callers(opened: Opened) -> None:
    source = {"name": "village-posts", "adapter": "restjson", "profiles": ["village_reading/village_post"]}
    common = {"authority": "https://yifang.invalid/systems/village-app", "organisation": "390121103101"}
    front = opened(client=CLIENTS, source=[source | common, source | common | {"name": "by-platform", "tokens": ["platform"]}])
    content = body(reading(106, 110))
    for headers in ({}, {"Authorization": "Bearer three"}, {"Authorization": "Basic one"}, {"Authorization": "Bearer"}):
        answer = front.post(content, **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["issue"][0]["code"] == "login"
    assert front.post(content, Authorization="Bearer one").status_code == 200
    assert front.post(content, Authorization="Bearer two").status_code == 403, "another organisation's source"
    assert front.post(content, source="by-platform", Authorization="Bearer one").status_code == 403, "not among its tokens"
    assert front.post(content, source="by-platform", Authorization="Bearer two").status_code == 200
    assert front.get("/fhir/Patient").status_code == 401
    assert front.get("/fhir/Patient", Authorization="bearer one").status_code == 200
    for path in ("/health", "/ready", "/metrics", "/fhir/metadata"):
        assert front.get(path).status_code == 200, f"{path} tells nothing of any resident"


def test_without_configured_clients_there_is_the_one_demo_caller(front: Front) -> None:
    assert front.get("/fhir/Patient").status_code == 200
    assert front.get("/fhir/Patient", Authorization="Bearer anything").status_code == 200
