"""Every answer of a FHIR server becomes the reply that design/records.md prescribes; over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from gateway.config import DestinationConfig
from gateway.errors import TerminalError, TransientError
from gateway.upstream import Accepted, EntryResult, FhirServer, MissingTargets, Paused, Referenced, Rejected, Retry, VersionConflict

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
BUNDLE = b'{"resourceType":"Bundle","type":"transaction","entry":[]}'


def server(url: str, **more: object) -> FhirServer:
    return FhirServer(DestinationConfig.model_validate({"name": "hapi", "url": url, "timeout": 0.5, **more}), now=lambda: NOW)


def answer(httpserver: HTTPServer, status: int, body: object = None, **headers: str) -> FhirServer:
    data = b"" if body is None else json.dumps(body).encode()
    httpserver.expect_request("/fhir", method="POST").respond_with_data(data, status=status, headers=headers, content_type="application/fhir+json")
    return server(httpserver.url_for("/fhir"))


def outcome(text: str) -> dict[str, object]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing", "diagnostics": text}]}


def response(*statuses: str) -> dict[str, object]:
    entries = [{"response": {"status": s, "etag": 'W/"3"', "location": f"Patient/a{i}/_history/3"}} for i, s in enumerate(statuses)]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """Accepts one connection, reads the request, sends `reply` and resets the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(reply)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"
    finally:
        thread.join(5)
        listener.close()


def test_a_fitting_transaction_response_is_accepted_with_its_etags(httpserver: HTTPServer) -> None:
    reply = answer(httpserver, 200, response("201 Created", "200 OK")).transaction(BUNDLE, 2)
    assert reply == Accepted((EntryResult(201, "3", "Patient/a0/_history/3"), EntryResult(200, "3", "Patient/a1/_history/3")))


@pytest.mark.parametrize(
    "body",
    [
        response("201 Created"),
        response("201 Created", "409 Conflict"),
        {"resourceType": "Bundle", "type": "batch-response", "entry": []},
        {"x": 1},
        [],
    ],
    ids=["an entry short", "an entry failed", "another Bundle", "another object", "a list"],
)
def test_a_2xx_that_does_not_answer_every_entry_is_not_believed(httpserver: HTTPServer, body: object) -> None:
    assert isinstance(answer(httpserver, 200, body).transaction(BUNDLE, 2), Retry)


@pytest.mark.parametrize("status", [401, 403, 405, 407, 410, 301, 307])
def test_faults_that_a_person_must_mend_pause_the_destination(httpserver: HTTPServer, status: int) -> None:
    reply = answer(httpserver, status, Location="http://127.0.0.1:1/").transaction(BUNDLE, 1)
    assert isinstance(reply, Paused)
    assert "请" in reply.reason


def test_a_404_of_the_base_pauses(httpserver: HTTPServer) -> None:
    assert isinstance(answer(httpserver, 404).transaction(BUNDLE, 1), Paused)


@pytest.mark.parametrize("status", [408, 409, 423, 425, 429, 500, 502, 503, 504])
def test_passing_faults_are_tried_again(httpserver: HTTPServer, status: int) -> None:
    assert answer(httpserver, status).transaction(BUNDLE, 1) == Retry(str(status), None)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Sun, 01 Mar 2026 08:01:00 GMT", 60.0), ("Sun, 01 Mar 2026 07:00:00 GMT", 0.0), ("soon", None)]
)
def test_retry_after_is_understood_in_both_forms(httpserver: HTTPServer, header: str, seconds: float | None) -> None:
    assert answer(httpserver, 429, **{"Retry-After": header}).transaction(BUNDLE, 1) == Retry("429", seconds)


def test_a_412_is_a_version_conflict(httpserver: HTTPServer) -> None:
    assert answer(httpserver, 412, outcome("HAPI-0974")).transaction(BUNDLE, 1) == VersionConflict()


def test_an_absent_reference_target_is_a_dependency(httpserver: HTTPServer) -> None:
    text = "HAPI-1094: Resource Organization/y1 not found, specified in path: Observation.performer"
    assert answer(httpserver, 400, outcome(text)).transaction(BUNDLE, 1) == MissingTargets(("Organization/y1",), text)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_other_refusals_carry_the_servers_words(httpserver: HTTPServer, status: int) -> None:
    assert answer(httpserver, status, outcome("HAPI-0450: bad code")).transaction(BUNDLE, 1) == Rejected(status, "HAPI-0450: bad code")


def test_half_a_body_is_a_passing_fault() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 1000\r\n\r\n{") as url:
        assert server(url).transaction(BUNDLE, 1) == Retry("connection")


def test_a_reset_before_the_answer_is_a_passing_fault() -> None:
    with raw_server(b"") as url:
        assert server(url).transaction(BUNDLE, 1) == Retry("connection")


def test_a_stall_ends_at_the_configured_time(httpserver: HTTPServer) -> None:
    release = threading.Event()

    def stall(_: Request) -> Response:
        release.wait(5)
        return Response()

    httpserver.expect_request("/fhir").respond_with_handler(stall)
    assert server(httpserver.url_for("/fhir")).transaction(BUNDLE, 1) == Retry("timeout")
    release.set()


def test_no_server_at_all_is_a_passing_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    assert server(f"http://127.0.0.1:{port}/fhir").transaction(BUNDLE, 1) == Retry("connection")


def test_a_base_that_is_no_url_pauses() -> None:
    assert isinstance(server("ftp://x/fhir").transaction(BUNDLE, 1), Paused)


def test_the_authorization_of_the_configuration_is_sent(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/fhir", headers={"Authorization": "Bearer s"}).respond_with_json(response("200 OK"))
    assert isinstance(server(httpserver.url_for("/fhir"), authorization="Bearer s").transaction(BUNDLE, 1), Accepted)


def test_read_gives_the_etag_and_the_bytes(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/fhir/Patient/a").respond_with_data(b'{"id":"a"}', headers={"ETag": 'W/"9"'})
    httpserver.expect_request("/fhir/Patient/gone").respond_with_data(b"", status=410)
    httpserver.expect_request("/fhir/Patient/busy").respond_with_data(b"", status=503)
    httpserver.expect_request("/fhir/Patient/no").respond_with_data(b"", status=403)
    there = server(httpserver.url_for("/fhir"))
    assert there.read("Patient", "a") == ("9", b'{"id":"a"}')
    assert there.read("Patient", "gone") is None
    with pytest.raises(TransientError):
        there.read("Patient", "busy")
    with pytest.raises(TerminalError):
        there.read("Patient", "no")


def test_search_follows_next_links(httpserver: HTTPServer) -> None:
    def page(ids: list[str], following: str | None) -> dict[str, object]:
        links = [{"relation": "next", "url": following}] if following else []
        return {"resourceType": "Bundle", "link": links, "entry": [{"resource": {"id": i}, "search": {"mode": "match"}} for i in ids]}

    httpserver.expect_request("/fhir/Patient", query_string="_count=2").respond_with_json(page(["a", "b"], httpserver.url_for("/fhir/next")))
    httpserver.expect_request("/fhir/next").respond_with_json(page(["c"], None))
    assert [r["id"] for r in server(httpserver.url_for("/fhir")).search("Patient", {"_count": "2"})] == ["a", "b", "c"]


def test_hapi_answers_of_its_own_kind_are_understood(httpserver: HTTPServer) -> None:
    """HAPI 8.8: a stale If-Match is a 409, ETags in a transaction-response stand bare, a deletion names what still refers to it."""
    stale = "HAPI-0550: HAPI-0989: Trying to update Organization/o1/_history/1 but this is not the current version"
    assert answer(httpserver, 409, outcome(stale)).transaction(BUNDLE, 1) == VersionConflict()
    httpserver.clear()
    held = (
        "Unable to delete Organization/o1 because at least one resource has a reference to this resource. "
        "First reference found was resource Patient/p1 in path Patient.managingOrganization"
    )
    assert answer(httpserver, 409, outcome(held)).transaction(BUNDLE, 1) == Referenced(("Patient/p1",), held)
    httpserver.clear()
    deleted = "HAPI-1096: Resource Organization/o1 is deleted, specified in path: Patient.managingOrganization"
    assert answer(httpserver, 400, outcome(deleted)).transaction(BUNDLE, 1) == MissingTargets(("Organization/o1",), deleted)
    httpserver.clear()
    bare = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"response": {"status": "200 OK", "etag": "7", "location": "Patient/p/_history/7"}}],
    }
    assert answer(httpserver, 200, bare).transaction(BUNDLE, 1) == Accepted((EntryResult(200, "7", "Patient/p/_history/7"),))
    httpserver.clear()
    base = answer(httpserver, 404, outcome("HAPI-0302: Unknown resource type 'foo' - Server knows how to handle: [Account]"))
    assert isinstance(base.transaction(BUNDLE, 1), Paused)
