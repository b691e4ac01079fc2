"""What deliveries look up by name is found in an index: a round's cost does not grow with what was delivered before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import StoreConfig
from gateway.store import deliveries, settlement, unsettled
from gateway.store.database import Database
from gateway.store.names import rows_of
from gateway.store.raw import Raw
from gateway.store.settlement import Sent
from gateway.store.unsettled import Refusal, Waiting

A, B, LATE = ("Patient", "a"), ("Observation", "a"), ("Encounter", "late")


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Raw]:
    database = Database.open(StoreConfig(data=tmp_path))
    with settlement.writing(database) as opened:
        yield opened
    database.close()


READS: dict[str, Callable[[Raw], Any]] = {
    "keep": lambda raw: settlement.keep(raw, "hapi", [Sent(*A, 1, "1")]),
    "faults": lambda raw: unsettled.faults(raw, "hapi", [A]),
    "waits": lambda raw: unsettled.waits(raw, "hapi", [B]),
    "waiting_for": lambda raw: unsettled.waiting_for(raw, "hapi", [LATE]),
    "current": lambda raw: deliveries.current(raw, "hapi", [A]),
}


@pytest.mark.parametrize("read", READS)
def test_names_are_looked_up_in_an_index(raw: Raw, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unsettled.refuse(raw, "hapi", {A: Refusal(1, "refused", "")}, 0)
    plans: list[str] = []
    asked = Raw.rows

    def rows(self: Raw, sql: str, parameters: Any = ()) -> list[Any]:
        if "json_each" in sql:
            plans.extend(str(row[3]) for row in self.cursor.execute("EXPLAIN QUERY PLAN " + sql, tuple(parameters)).fetchall())
        return asked(self, sql, parameters)

    monkeypatch.setattr(Raw, "rows", rows)
    READS[read](raw)
    assert any(plan.startswith("SEARCH") for plan in plans)
    assert [p for p in plans if p.startswith("SCAN") and "json_each" not in p] == []
    assert [p for p in plans if p.startswith("SEARCH") and "id=?" not in p] == []


def test_equal_ids_of_other_types_are_others(raw: Raw) -> None:
    settlement.keep(raw, "hapi", [Sent(*A, 1, "1"), Sent(*B, 2, "5")])
    query = "SELECT d.type, d.version FROM {} n CROSS JOIN delivered d WHERE d.destination = ? AND d.type = n.type AND d.id = n.id"
    assert rows_of(raw, query, [A], "hapi") == [("Patient", 1)]
    assert rows_of(raw, query, [A, B, LATE], "hapi") == [("Observation", 2), ("Patient", 1)]
    assert rows_of(raw, query, [A], "other") == rows_of(raw, query, [], "hapi") == []


def test_what_waits_is_found_from_both_sides_and_forgotten_whole(raw: Raw) -> None:
    unsettled.wait(raw, "hapi", {B: Waiting(frozenset({LATE, ("Organization", "o")}), sent=True), A: Waiting(frozenset({LATE}), sent=False)})
    assert unsettled.waiting_for(raw, "hapi", [LATE, A]) == {LATE: {A, B}}
    unsettled.settled(raw, "hapi", [B, LATE])
    assert unsettled.waits(raw, "hapi", [A, B]) == {A: {LATE}}
    assert unsettled.waits(raw, "other", [A, B]) == {}
