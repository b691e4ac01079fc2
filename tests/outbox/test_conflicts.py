"""What others wrote, removed or emptied at the destination: never overwritten in silence, told, brought back."""

from __future__ import annotations

import pytest

from gateway.outbox import owed
from tests.outbox.town import Town
from tests.records.county import observation


@pytest.mark.parametrize("status", [409, 412])
def test_a_stale_version_that_someone_else_wrote_is_a_hold_and_its_neighbours_go_on(town: Town, status: int) -> None:
    town.server.stale = status
    town.send("a", "1", observation("o", "A"), observation("p", "A"))
    town.drain()
    url = town.url("Observation", "o")
    town.server.write(town.server.resources[url] | {"status": "cancelled"})
    town.send("a", "2", observation("o", "B"), observation("p", "B"))
    town.drain()
    assert town.server.resources[url]["status"] == "cancelled"
    assert town.server.resources[town.url("Observation", "p")]["code"] == {"text": "B"}
    [(kind, error)] = town.faults()
    assert kind == "conflict"
    assert "被别的系统改写" in error
    assert town.report().different == [("Observation", town.id("Observation", "o"))]
    town.send("a", "3", observation("o", "C"), observation("p", "B"))
    town.drain()
    assert town.server.resources[url]["status"] == "cancelled", "a newer version of ours does not overwrite it either"
    assert owed.refused(town.county.database, "hapi", town.county.clock.now()) == [], "resuming the destination does not overwrite it either"
    owed.again(town.county.database, "hapi", town.report().different, town.county.clock.now(), forget=True)
    town.drain()
    assert town.server.resources[url]["code"] == {"text": "C"}
    town.whole(2)


def test_a_resource_removed_behind_the_gateways_back_is_told_and_brought_back(town: Town) -> None:
    town.send("a", "1", observation("o", "c"), observation("p", "c"), person="P1")
    town.drain()
    town.whole(3)
    town.server.lose(town.url("Observation", "o"))
    town.server.write(town.server.resources[town.url("Observation", "p")] | {"status": "cancelled"})
    report = town.report()
    assert report.lost == [("Observation", town.id("Observation", "o"))]
    assert report.different == [("Observation", town.id("Observation", "p"))]
    owed.again(town.county.database, "hapi", [*report.lost, *report.different], town.county.clock.now(), forget=True)
    town.drain()
    town.whole(3)


def test_a_server_that_was_emptied_is_filled_again(town: Town) -> None:
    for n in range(12):
        town.send(f"k{n}", "1", observation(f"o{n}", "A"), person=f"P{n}")
    town.drain()
    town.server.resources.clear()
    town.server.versions.clear()
    assert len(town.report().lost) == 24
    before = len(town.server.transactions)
    for n in range(12):
        town.send(f"k{n}", "2", observation(f"o{n}", "B"), person=f"P{n}")
    town.drain()
    assert len(town.server.transactions) - before <= 4, "lacking targets are asked for at once, not found one by one"
    town.whole(24)
