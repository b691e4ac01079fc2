"""Order and totals (https://hl7.org/fhir/R4/search.html#sort, #total)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gateway.store.search import Limits, Searcher
from tests.store.index_harness import Store
from tests.store.search_samples import observation, patient, store

__all__ = ["store"]


def result(id_: str, status: str, value: str | None, when: str, note: str = "") -> dict[str, Any]:
    more: dict[str, Any] = {"status": status}
    if value is not None:
        more["valueQuantity"] = {"value": Decimal(value), "unit": "mmol/L"}
    return observation(id_, when=when, **more)


@pytest.fixture
def results(store: Store) -> Store:
    store.put(
        result("a", "final", "5.4", "2026-01-03"),
        result("b", "amended", "11.2", "2026-01-01"),
        result("c", "final", None, "2026-01-03"),
        result("d", "amended", "-2", "2026-01-02"),
    )
    return store


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_sort=_id", "abcd"),
        ("_sort=-_id", "dcba"),
        ("_sort=status,_id", "bdac"),
        ("_sort=-status,-_id", "cadb"),
        ("_sort=status,-date", "dbac"),
        ("_sort=-date,status,_id", "acdb"),
        ("_sort=date,-_id", "bdca"),
        ("_sort=-date,value-quantity", "acdb"),
        ("_sort=value-quantity", "dabc"),
        ("_sort=-value-quantity", "badc"),
        ("_sort=-_lastUpdated", "dcba"),
        ("_sort=status,-_lastUpdated", "dbca"),
        ("_sort=subject,code,_id", "abcd"),
        ("_sort=colour,_id", "abcd"),
    ],
)
@pytest.mark.parametrize("few", [1, 100])
def test_every_kind_of_key_sorts_and_missing_values_stand_last(results: Store, query: str, expected: str, few: int) -> None:
    results.searcher = Searcher(results.searcher.indexer, limits=replace(Limits(), few=few))
    assert "".join(results.ids("Observation", query)) == expected
    assert "".join(results.ids("Observation", query + "&_count=1")) == expected


def test_strings_sort_by_what_they_are_compared_by(store: Store) -> None:
    store.put(
        patient("p1", name=[{"family": "wang"}]),
        patient("p2", name=[{"family": "LI"}]),
        patient("p3"),
        patient("p4", name=[{"family": "Ai"}, {"family": "Zuo"}]),
    )
    assert store.ids("Patient", "_sort=family") == ["p4", "p2", "p1", "p3"]
    assert store.ids("Patient", "_sort=-family") == ["p4", "p1", "p2", "p3"]
    assert store.ids("Patient", "_sort=birthdate,-family") == ["p4", "p1", "p2", "p3"]


def test_totals_are_exact_when_asked_for(store: Store) -> None:
    store.put(*(observation(str(n), f"p{n % 3}", "718-7" if n % 4 else "4548-4", status="final" if n % 5 else "amended") for n in range(120)))
    store.put(observation("3", "p1", "2339-0"))
    store.delete("Observation", "7")
    queries = ("", "code=718-7", "code=http://loinc.org|718-7", "code=718-7&status=final", "status=amended", "code=718-7,4548-4", "code:not=718-7")
    for query in (*queries, "date=ge2026-01-31", "_lastUpdated=ge2000", "patient=p0&code=718-7,4548-4"):
        found = len(store.ids("Observation", query))
        assert store.page("Observation", query + "&_total=accurate&_count=3").total == found
        page = store.page("Observation", query + "&_count=0")
        assert (page.total, page.rows, page.next) == (found, [], None)
        store.merge(rows=40, steps=2)
    assert store.page("Observation", "code=718-7&_count=3").total is None
    assert store.page("Observation", "_summary=count&code=2339-0").total == 1


def test_what_was_applied_stands_in_the_self_link(store: Store) -> None:
    page = store.page("Observation", "code=1&colour=red&_sort=-date,colour&_count=5&_summary=true")
    assert page.applied == (("code", "1"), ("_sort", "-date"), ("_count", "5"), ("_summary", "true"))
    assert page.ignored == ("_sort=colour", "colour")
