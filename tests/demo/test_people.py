"""The demo's people and institutions: valid numbers, no two alike, the same for the same seed."""

from __future__ import annotations

from datetime import date
from random import Random

from stdnum.cn import ric

from gateway.demo.county import AREA, county
from gateway.demo.people import fifteen, people
from gateway.errors import Fault
from gateway.identity.numbers import archive_number, id_card, upgrade, uscc

TODAY = date(2026, 6, 30)


def test_the_county_has_its_institutions() -> None:
    found = county(Random(1))
    assert [len(found.at_level(level)) for level in "1234"] == [2, 1, 3, 9]
    assert all(not isinstance(uscc(i.credit_code), Fault) for i in found.institutions.values())
    assert all(found.staff[code] for code in found.institutions)
    assert {i.upper for i in found.institutions.values() if i.upper} <= set(found.institutions)
    assert {i.lead for i in found.institutions.values()} == {f"{AREA}001", f"{AREA}002"}


def test_the_same_seed_gives_the_same_people() -> None:
    first, second = (people(county(Random(7)), Random(7), 600, TODAY) for _ in range(2))
    assert first == second
    assert people(county(Random(8)), Random(8), 600, TODAY) != first


def test_numbers_are_valid_distinct_and_of_nobody() -> None:
    found = people(county(Random(1)), Random(1), 600, TODAY)
    cards = [r.card for r in found if r.card]
    assert 600 <= len(found) < 620
    assert len(set(cards)) == len(cards)
    assert len({r.archive for r in found}) == len(found)
    for resident in found:
        assert archive_number(resident.archive) == resident.archive
        if resident.card:
            read = id_card(resident.card)
            assert not isinstance(read, Fault)
            assert (read.birth_date, read.sex) == (resident.born.isoformat(), {"1": "male", "2": "female"}[resident.sex])
            assert resident.card[:2] == "39" and resident.card[-1] == ric.calc_check_digit(resident.card)


def test_old_cards_come_back_to_the_new_ones() -> None:
    old = [r.card for r in people(county(Random(1)), Random(1), 100, TODAY) if r.card and r.born.year < 2000]
    assert [upgrade(fifteen(card)) for card in old] == old


def test_children_have_a_mother_in_their_family() -> None:
    found = people(county(Random(1)), Random(1), 300, TODAY)
    children = [r for r in found if r.mother is not None]
    assert children
    for child in children:
        assert child.mother is not None
        mother = found[child.mother]
        assert (mother.sex, mother.family) == ("2", child.family)
        assert mother.born < child.born
