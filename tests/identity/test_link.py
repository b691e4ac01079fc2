"""design/records.md, "Identity": who is linked with whom depends on the set of claims, never on their order."""

from __future__ import annotations

import itertools

import pytest

from gateway.identity.link import Claim, another_person, conflicts, partition
from gateway.record import PersonNumber


def claim(n: int, *strong: str, local: tuple[str, ...] = (), name: str = "", born: str = "", sex: str = "", pin: int | None = None) -> Claim:
    """Claim n."""
    numbers = tuple(PersonNumber("id", s, True) for s in strong) + tuple(PersonNumber("local", v, False) for v in local)
    return Claim(n, numbers, name, sex, born, pin=pin)


CASES = [
    ([claim(1, "A"), claim(2, "A", name="李")], [{1, 2}]),
    ([claim(1, "A"), claim(2, "B")], [{1}, {2}]),
    ([claim(1, "A"), claim(2, local=("L",)), claim(3, "A", local=("L",))], [{1, 2, 3}]),
    ([claim(1, "A", local=("L",)), claim(2, "B", local=("L",))], [{1}, {2}]),  # a local number never joins two strong ones
    ([claim(1, "A"), claim(2, "B"), claim(3, "A", "B")], [{1, 2, 3}]),
    ([claim(1, "A", name="李", born="1980"), claim(2, "A", name="王", born="2020")], [{1}, {2}]),  # a mother's card for her child
    ([claim(1, "A", name="李", born="1980"), claim(2, "A", name="李四", born="1980")], [{1, 2}]),  # another name alone does not part
    ([claim(1, "A", name="李", pin=7), claim(2, "A", name="王", pin=8), claim(3, "A")], None),
]


@pytest.mark.parametrize(("claims", "expected"), CASES)
def test_groups_do_not_depend_on_order(claims: list[Claim], expected: list[set[int]] | None) -> None:
    found = [sorted(map(frozenset, ({c.id for c in g} for g in partition(order))), key=sorted) for order in itertools.permutations(claims)]
    assert all(f == found[0] for f in found)
    if expected is not None:
        assert [set(g) for g in found[0]] == expected
    else:
        assert not any({1, 2} <= g for g in found[0])  # what a person parted stays parted


def test_a_borrowed_card_is_reported() -> None:
    mother, child = claim(1, "A", name="李", born="1980"), claim(2, "A", name="王", born="2020")
    assert [{a.id, b.id} for a, b in conflicts(partition([mother, child]))] == [{1, 2}]


@pytest.mark.parametrize(
    ("before", "now", "other"),
    [
        (claim(1, "A"), claim(2, "A"), False),
        (claim(1, "A"), claim(2, "B"), True),
        (claim(1, "A", name="李", born="1980"), claim(2, "B", name="李", born="1980"), False),  # a mistyped number that was mended
        (claim(1, "A", name="李", born="1980"), claim(2, "A", name="王", born="2020"), True),
        (claim(1, local=("L",)), claim(2, local=("M",)), True),
        (claim(1, local=("L",)), claim(2, "A", local=("L",)), False),
    ],
)
def test_another_person(before: Claim, now: Claim, other: bool) -> None:
    assert another_person(before, now) is other
