"""What a resource refers to goes up before it, with it, or later."""

from __future__ import annotations

from datetime import timedelta

from gateway.store import deliveries
from tests.outbox.server import Fault, lost_reply
from tests.outbox.town import Town, bundle_of
from tests.records.county import observation


def test_a_target_that_nobody_holds_goes_up_as_identifier_until_it_arrives(town: Town) -> None:
    early = observation("early", "c")
    early["body"]["performer"] = [{"reference": town.url("Organization", "org"), "identifier": {"system": "urn:orgs", "value": "org"}}]
    town.send("a", "1", early, person="P1")
    town.drain()
    url = town.url("Observation", "early")
    assert town.server.resources[url]["performer"] == [{"type": "Organization", "identifier": {"system": "urn:orgs", "value": "org"}}]
    town.whole(2)
    town.send("org", "1", {"type": "Organization", "value": "org", "body": {"active": True}})
    town.drain()
    assert town.server.resources[url]["performer"][0]["reference"] == town.url("Organization", "org")
    town.whole(3)


def test_a_woken_resource_survives_a_fault_of_the_server(town: Town) -> None:
    early = observation("early", "c")
    early["body"]["performer"] = [{"reference": town.url("Organization", "org")}]
    town.send("a", "1", early, person="P1")
    town.drain()
    town.send("org", "1", {"type": "Organization", "value": "org", "body": {"active": True}})
    calls: list[Fault] = [lambda server, request: server.commit(bundle_of(request)), 503, lost_reply]
    town.server.faults = calls
    town.drain(seconds=20)
    assert town.server.resources[town.url("Observation", "early")]["performer"] == [{"reference": town.url("Organization", "org")}]
    town.whole(3)


def test_a_shared_target_that_another_worker_delivers_is_waited_for(town: Town) -> None:
    pointing = observation("o", "c")
    pointing["body"]["performer"] = [{"reference": town.url("Organization", "org")}]
    town.send("org", "1", {"type": "Organization", "value": "org", "body": {"active": True}})
    town.send("a", "1", pointing, person="P1")
    now = town.county.clock.now()
    [shared] = deliveries.claim(town.county.database, "hapi", "other", now, timedelta(minutes=1), 1)
    assert shared.name == "shared"
    town.sender.step()
    assert town.url("Observation", "o") not in town.server.resources
    assert town.url("Organization", "org") not in town.server.resources
    deliveries.retry(town.county.database, shared, now, "stopped")
    town.drain()
    town.whole(3)
