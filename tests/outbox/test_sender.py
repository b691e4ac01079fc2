"""What the pipeline wrote arrives, once, in its newest version; on the real store, on both engines."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.outbox import owed, sender
from tests.outbox.town import Town
from tests.records.county import form, observation


def test_what_the_pipeline_wrote_arrives_and_the_second_time_nothing_goes_up(town: Town) -> None:
    town.send("a", "1", observation("o1", "c"), observation("o2", "c"), person="P1")
    town.send("b", "1", observation("o3", "c"), person="P2")
    town.drain()
    town.whole(5)
    sent = len(town.server.transactions)
    town.send("a", "1", observation("o1", "c"), observation("o2", "c"), person="P1")
    town.drain()
    assert len(town.server.transactions) == sent


def test_a_b_a_arrives_as_three_versions(town: Town) -> None:
    for stamp, code in (("1", "A"), ("2", "B"), ("3", "A")):
        town.send("a", stamp, observation("o", code))
        town.drain()
    assert town.server.versions[town.url("Observation", "o")] == 3
    town.whole(1)


def test_versions_that_were_not_sent_yet_are_skipped(town: Town) -> None:
    for stamp in "1234":
        town.send("a", stamp, observation("o", stamp))
    town.drain()
    assert town.server.versions[town.url("Observation", "o")] == 1
    town.whole(1)


def test_deliveries_are_owed_again_safely_beside_a_running_writer(town: Town) -> None:
    town.send("a", "1", *(observation(f"o{n}", "c") for n in range(20)))
    names = [("Observation", town.id("Observation", f"o{n}")) for n in range(20)]
    later = [town.county.later(form(f"k{n}", "1", [observation(f"x{n}", "c")])) for n in range(30)]
    for _ in range(10):
        owed.again(town.county.database, "hapi", names, town.county.clock.now())
    for f in later:
        f.result(30)
    assert town.waiting() == 1 + 30 + 10
    town.drain()
    town.whole(50)


def test_what_was_finished_long_ago_is_taken_away_in_small_steps_and_nothing_else(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "PRUNE_ROWS", 3)
    for n in range(7):
        town.send(f"k{n}", "1", observation(f"o{n}", "c"), person=f"P{n}")
    town.drain()
    town.send("late", "1", observation("late", "c"), person="P0")
    town.county.clock.advance(timedelta(days=31))
    town.send("young", "1", observation("young", "c"), person="P1")

    def kept() -> list[tuple[object, ...]]:
        return town.county.rows("SELECT state, count(*) FROM delivery GROUP BY state ORDER BY state")

    town.sender.prune()
    assert kept() == [("done", 4), ("waiting", 2)]
    for _ in range(3):
        town.sender.prune()
    assert kept() == [("waiting", 2)]
    town.drain()
    town.sender.prune()
    assert kept() == [("done", 2)], "finished just now"
    town.county.clock.advance(timedelta(days=30, hours=1))
    town.sender.prune()
    assert kept() == []
    town.whole(16)
