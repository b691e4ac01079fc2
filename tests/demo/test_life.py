"""Facts of the demo's year, written by a vendor and read through the real profile, come back as the same record."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from random import Random

import pytest

from gateway.demo.county import County, county
from gateway.demo.life import Fact, directory, followups, profiles, readings, visits
from gateway.demo.people import Resident, people

START = date(2025, 7, 1)
STAMP = datetime(2026, 6, 30, 8)


@pytest.fixture(scope="module")
def place() -> County:
    return county(Random(1))


@pytest.fixture(scope="module")
def residents(place: County) -> list[Resident]:
    return people(place, Random(1), 200, STAMP.date())


@pytest.fixture(scope="module")
def facts(place: County, residents: list[Resident]) -> list[Fact]:
    return [
        *directory(place, STAMP),
        *profiles(place, residents, Random(2), STAMP),
        *followups(place, residents, Random(3), START),
        *readings(place, residents, Random(4), START),
        *visits(place, residents, Random(5), START),
    ]


def test_every_kind_of_fact_is_there(facts: list[Fact]) -> None:
    counts = Counter(f.dataset for f in facts)
    assert set(counts) == {
        "organisation",
        "staff",
        "resident_profile",
        "hypertension_followup",
        "village_reading",
        "outpatient_visit",
        "prescription",
    }
    assert min(counts.values()) >= 10


def test_no_two_facts_share_a_key(facts: list[Fact]) -> None:
    keys = {
        "organisation": ("机构代码",),
        "staff": ("机构代码", "工号"),
        "resident_profile": ("健康档案编号",),
        "hypertension_followup": ("健康档案编号", "随访日期"),
        "village_reading": ("机构代码", "读数编号"),
        "outpatient_visit": ("机构代码", "就诊号"),
        "prescription": ("机构代码", "处方号"),
    }
    found = Counter((f.dataset, *(f.fields[k] for k in keys[f.dataset])) for f in facts)
    assert max(found.values()) == 1


def test_facts_say_the_truth_about_their_person(facts: list[Fact], residents: list[Resident]) -> None:
    for fact in facts:
        if fact.resident is not None:
            resident = residents[fact.resident]
            assert fact.fields["姓名"] == resident.name
            assert fact.fields.get("身份证号", "") == resident.card
            assert fact.stamp.date() >= START


def test_the_same_seed_tells_the_same_year(place: County, residents: list[Resident]) -> None:
    assert list(visits(place, residents, Random(5), START)) == list(visits(place, residents, Random(5), START))
