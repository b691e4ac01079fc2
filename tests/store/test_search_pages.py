"""Every resource that matches throughout, with an unchanged sort key, appears exactly once, whatever is written between the pages.

https://hl7.org/fhir/R4/http.html#paging. Between two pages others are written, corrected, deleted and merged, as drawn.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store.search import Limits, Searcher
from tests.store.index_harness import ENGINES, Store, open_store
from tests.store.search_samples import observation, store

__all__ = ["store"]

SORTS = (
    "",
    "_sort=date",
    "_sort=-_lastUpdated",
    "_sort=_id",
    "_sort=-date,-_id",
    "_sort=status,-date",
    "_sort=-status,code,date",
    "_sort=value-quantity,-_id",
    "_sort=-date,value-quantity,status",
)
STATUSES = ("final", "amended", "corrected")
STAYS = 30
act = st.one_of(
    st.tuples(st.just("new"), st.integers(1, 28), st.sampled_from(STATUSES)),
    st.tuples(st.just("again"), st.integers(0, STAYS - 1), st.just("")),
    st.tuples(st.just("moves"), st.integers(0, 9), st.sampled_from(STATUSES)),
    st.tuples(st.just("delete"), st.integers(0, 9), st.just("")),
    st.tuples(st.just("merge"), st.integers(1, 200), st.just("")),
)


def result(id_: str, n: int, status: str = "", **more: Any) -> dict[str, Any]:
    """A result whose sort values repeat, so that pages end between equal ones; one in four has no value."""
    own = {"status": status or STATUSES[n % 3]} | ({"valueQuantity": {"value": n % 4}} if n % 4 else {})
    return observation(id_, when=f"2026-01-{n % 5 + 1:02}", **own | more)


@pytest.mark.slow
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("few", [1, 1000], ids=["streamed", "gathered"])
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=4, deadline=None)
@given(acts=st.lists(act, max_size=12), size=st.integers(1, 7))
def test_pages_meet_every_resource_that_stays_exactly_once(engine: str, few: int, sort: str, acts: list[tuple[str, int, str]], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder, open_store(engine, folder) as opened:
        opened.searcher = Searcher(opened.searcher.indexer, limits=replace(Limits(), few=few))
        opened.put(*(result(f"stay{n:02}", n) for n in range(STAYS)), *(result(f"other{n}", n) for n in range(10)))
        opened.merge(rows=50, steps=2)
        shown = pages(opened, f"code=718-7&_count={size}&{sort}", acts, "_lastUpdated" not in sort)
    stayed = [id_ for id_ in shown if id_.startswith("stay")]
    assert sorted(stayed) == [f"stay{n:02}" for n in range(STAYS)]


def pages(opened: Store, query: str, acts: list[tuple[str, int, str]], corrected: bool) -> list[str]:
    """Ids of all pages, with one act after each. corrected: a new version keeps the resource's place."""
    shown: list[str] = []
    cursor: str | None = None
    left = list(acts)
    for _ in range(200):
        page = opened.page("Observation", query, cursor)
        shown += [row.id for row in page.rows]
        cursor = page.next
        if cursor is None:
            return shown
        if left:
            do(opened, *left.pop(), corrected)
    raise AssertionError("the pages have no end")


def do(opened: Store, what: str, n: int, status: str, corrected: bool) -> None:
    """One act of somebody else."""
    if what == "new":
        opened.put(result(f"new{len(opened.rids)}", n, status))
    elif what == "again" and corrected:
        opened.put(result(f"stay{n:02}", n, note=[{"text": "核对"}]))  # another version, the same sort values
    elif what == "moves":
        opened.put(result(f"other{n}", n + 1, status))
    elif what == "delete":
        opened.delete("Observation", f"other{n}")
    elif what == "merge":
        opened.merge(rows=n, steps=1)


def test_nothing_is_lost_where_pages_end_between_equal_keys(store: Store) -> None:
    store.put(*(observation(f"o{n:02}", when="2026-01-01") for n in range(40)))
    for size in (1, 3, 7, 39, 40, 41):
        for sort in ("", "&_sort=date", "&_sort=status,date", "&_sort=-date,status"):
            assert sorted(store.ids("Observation", f"_count={size}{sort}")) == [f"o{n:02}" for n in range(40)]
