"""Contributions that repeat what a newer one says are not read, and it never shows (gateway/store/cover.py)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.compose import Contribution, Precedence, compose
from gateway.store.cover import settle
from gateway.store.states import ContributionState
from tests.records.conftest import new_county  # noqa: F401 - the fixture
from tests.records.county import County, form, observation

A = {"id": ["39000019800101001X"], "name": "李甲", "sex": "male", "born": "1980-01-01"}
BODIES: list[dict[str, Any]] = [
    {"name": "甲", "alias": ["一"], "telecom": [{"system": "phone", "value": "1"}]},
    {"name": "乙", "alias": ["一", "二"], "address": {"text": "东村"}},
    {"telecom": [{"system": "phone", "value": "2"}], "meta": {"profile": ["p"]}},
]


def stamp(n: int) -> str:
    """A stamp, later for higher n."""
    return f"2026-01-{1 + n // 24:02d}T{n % 24:02d}:00:00.000000Z"


said = st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(["merge", "latest", "one"]), st.booleans())


@given(st.lists(said, min_size=1, max_size=12))
def test_what_is_covered_changes_nothing(rows: list[tuple[int, str, int, str, bool]]) -> None:
    states, values = [], []
    for n, (time, authority, body, kind, present) in enumerate(rows):
        states.append(ContributionState(1, n, 0, "", f"{stamp(time)}|d{n % 3}", kind, "", present, b"%d" % body, (), (), authority, f"k{n}"))
        values.append(Contribution(n, authority, f"k{n}", stamp(time), f"d{n % 3}", kind, "", present, BODIES[body]))
    settle(states)
    assert not any(s.covered and (s.compose == "one" or not s.present) for s in states)
    everything = [v for v in values if v.present]
    uncovered = [v for v, s in zip(values, states, strict=True) if v.present and not s.covered]
    precedence = Precedence({("Organization", "name"): {"b": 0}})
    assert bool(everything) == bool(uncovered)
    if everything:
        assert compose("Organization", uncovered, precedence) == compose("Organization", everything, precedence)


def messages(rng: random.Random) -> list[tuple[str, list[dict[str, Any]]]]:
    """Many records of few words about one organisation and one resident, with corrections, some of which say it no longer."""
    sent = []
    for n in range(26):
        org = {"type": "Organization", "ns": "org", "value": "39", "compose": "merge", "subject": False, "body": rng.choice(BODIES)}
        patient = {"type": "Patient", "body": {"gender": rng.choice(["male", "female"])}}
        drafts: list[dict[str, Any]] = [org, patient] if rng.random() < 0.85 else [observation(f"o{n}", "一")]
        sent.append((rng.choice(["his", "lis"]), [form(str(rng.randrange(14)), stamp(n), drafts, person=A)]))
    return sent


@pytest.mark.parametrize("seed", range(4))
def test_any_order_ends_in_the_same_resources_when_many_say_the_same(new_county: Callable[..., County], seed: int) -> None:  # noqa: F811
    rng = random.Random(seed)
    sent = messages(rng)
    found = []
    for order in (sent, [*sent, *sent[::4]]):
        county = new_county()
        if order is not sent:
            rng.shuffle(order)
        for future in [county.later(*records, source=source) for source, records in order]:
            future.result(30)
        found.append(county.comparable())
    assert found[0] == found[1]


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[County]:
    """A county whose organisation 60 records have named."""
    with County(tmp_path) as county:
        for n in range(60):
            county.send(form(str(n), stamp(n), [organisation("甲")]))
        yield county


def organisation(name: str) -> dict[str, Any]:
    """A draft of the organisation that all share."""
    return {"type": "Organization", "ns": "org", "value": "39", "compose": "merge", "body": {"name": name}}


def test_one_of_sixty_equal_contributions_is_read(busy: County) -> None:
    assert busy.rows("SELECT covered, count(*) FROM contribution GROUP BY covered ORDER BY covered") == [(0, 1), (1, 59)]


def test_what_was_covered_counts_again_when_the_newest_changes_its_word(busy: County) -> None:
    busy.send(form("59", stamp(70), [observation("x", "一")]))
    assert busy.one("Organization")["name"] == "甲"
    assert busy.rows("SELECT covered, present, count(*) FROM contribution JOIN resource ON rid = resource WHERE type = 'Organization' "
                     "GROUP BY covered, present ORDER BY covered, present") == [(0, 0, 1), (0, 1, 1), (1, 1, 58)]  # fmt: skip
    busy.send(form("58", stamp(71), [organisation("乙")]))
    assert busy.one("Organization")["name"] == "乙"
    busy.send(form("58", stamp(72), [observation("y", "一")]))
    assert busy.one("Organization")["name"] == "甲"
    for n in range(58):
        busy.send(form(str(n), stamp(80 + n), [observation(f"z{n}", "一")]))
    assert not [b for name, b in busy.current().items() if name.startswith("Organization/") and b is not None and b.get("active") is not False]
