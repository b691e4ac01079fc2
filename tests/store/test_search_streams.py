"""What leads to many is streamed from the rarer key and counted from postings: pages and totals are those of a plain look at every resource.

https://hl7.org/fhir/R4/search.html#total. Resources are written, corrected, deleted and merged as drawn; no driver is few enough to be read whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store.search import Limits, Searcher
from tests.store.index_harness import ENGINES, Store, open_store
from tests.store.search_samples import LOINC, observation, patient, store

__all__ = ["store"]

Body = dict[str, Any]
LOCAL = "urn:local"
CODES = ("718-7", "4548-4")
STATUSES = ("final", "corrected", "amended")
DAYS = ("2025-12-31", "2026-01-01T00:00:00+08:00", "2026-01-01", "2026-01-02T08:00:00+08:00", "2026-01")
PERSONS = tuple(f"p{n}" for n in range(30))

coding = st.tuples(st.sampled_from((LOINC, LOCAL)), st.sampled_from(CODES))
body = st.fixed_dictionaries(
    {
        "codings": st.lists(coding, min_size=1, max_size=2, unique=True),
        "status": st.sampled_from(STATUSES),
        "day": st.sampled_from(DAYS),
        "person": st.sampled_from(PERSONS),
    }
)
QUESTIONS: dict[str, Callable[[Body], bool]] = {
    "code=718-7": lambda b: "718-7" in codes(b),
    f"code={LOINC}|718-7": lambda b: (LOINC, "718-7") in pairs(b),
    f"code={LOCAL}|718-7,4548-4&status=corrected": lambda b: b["status"] == "corrected" and ((LOCAL, "718-7") in pairs(b) or "4548-4" in codes(b)),
    "code=718-7&status=final": lambda b: "718-7" in codes(b) and b["status"] == "final",
    "code=718-7&code=4548-4": lambda b: {"718-7", "4548-4"} <= codes(b),
    "status=corrected,amended": lambda b: b["status"] != "final",
    "code=718-7&status:not=corrected": lambda b: "718-7" in codes(b) and b["status"] != "corrected",
    "code=718-7&date=ge2026-01-01": lambda b: "718-7" in codes(b) and day(b) >= "2026-01",
    "date=2026-01-01&status=final": lambda b: b["status"] == "final" and day(b).startswith("2026-01-01"),
    "date=lt2026-01-01T12:00:00%2B08:00&code=718-7": lambda b: "718-7" in codes(b) and not day(b).startswith("2026-01-02"),
    f"patient={','.join(PERSONS[:28])}&code=4548-4": lambda b: "4548-4" in codes(b) and person(b) in PERSONS[:28],
    f"patient={','.join(PERSONS[:3])}": lambda b: person(b) in PERSONS[:3],
}


def pairs(body: Body) -> set[tuple[str, str]]:
    return {(c["system"], c["code"]) for c in body["code"]["coding"]}


def codes(body: Body) -> set[str]:
    return {code for _, code in pairs(body)}


def day(body: Body) -> str:
    return str(body["effectiveDateTime"])


def person(body: Body) -> str:
    return str(body["subject"]["reference"]).removeprefix("Patient/")


def result(number: int, drawn: dict[str, Any]) -> Body:
    coding = [{"system": system, "code": code} for system, code in drawn["codings"]]
    return observation(f"o{number:02}", drawn["person"], when=drawn["day"], status=drawn["status"]) | {"code": {"coding": coding}}


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["", "_sort=-_lastUpdated", "_sort=_id"])
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=6, deadline=None)
@given(
    first=st.lists(body, min_size=20, max_size=40),
    later=st.lists(st.tuples(st.integers(0, 39), body), max_size=12),
    gone=st.sets(st.integers(0, 39), max_size=4),
    steps=st.integers(0, 4),
)
def test_pages_and_totals_are_those_of_every_resource_looked_at(
    engine: str, sort: str, first: list[Body], later: list[tuple[int, Body]], gone: set[int], steps: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, open_store(engine, folder) as opened:
        opened.searcher = Searcher(opened.searcher.indexer, limits=replace(Limits(), few=1))
        held = {n: result(n, drawn) for n, drawn in enumerate(first)}
        opened.put(*held.values())
        opened.merge(rows=60, steps=steps)
        for n, drawn in later:
            if n in held:
                held[n] = result(n, drawn)
                opened.put(held[n])
        for n in gone & held.keys():
            opened.delete("Observation", held.pop(n)["id"])
        for query, matches in QUESTIONS.items():
            expected = sorted(b["id"] for b in held.values() if matches(b))
            assert sorted(opened.ids("Observation", f"{query}&_count=7&{sort}")) == expected, query
            assert opened.page("Observation", f"{query}&_total=accurate&_count=1&{sort}").total == len(expected), query
            assert opened.page("Observation", f"{query}&_count=0").total == len(expected), query


def test_who_stands_several_times_under_a_string_hides_nobody(store: Store) -> None:
    """The first nine entries are those of three residents only."""
    store.searcher = Searcher(store.searcher.indexer, limits=Limits(few=1))
    store.put(*(patient(f"p{n}", name=[{"text": f"欧阳{n}{part}"} for part in "甲乙丙"]) for n in range(5)))
    assert sorted(store.ids("Patient", "name=欧阳")) == [f"p{n}" for n in range(5)]


def test_more_types_than_one_statement_takes_are_searched_together(store: Store) -> None:
    store.searcher = Searcher(store.searcher.indexer, limits=Limits(few=1))
    types = store.searcher.indexer.r4.resource_types()
    store.put(*({"resourceType": type_, "id": f"{n}"} for type_ in types for n in "ab"))
    page = store.page("", "_count=5&_total=accurate")
    assert (len(page.rows), page.total) == (5, 2 * len(types))
    assert len(store.ids("", "_count=200")) == len(store.ids("", "_count=200&_sort=_lastUpdated")) == 2 * len(types)


def test_a_new_system_of_a_code_is_found_beside_the_old_one(store: Store) -> None:
    store.put(observation("a"), observation("b") | {"code": {"coding": [{"system": LOCAL, "code": "718-7"}, {"code": "718-7"}]}})
    assert sorted(store.ids("Observation", "code=718-7")) == ["a", "b"]
    assert store.ids("Observation", f"code={LOCAL}|718-7") == store.ids("Observation", "code=|718-7") == ["b"]
