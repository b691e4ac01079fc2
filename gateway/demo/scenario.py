"""The whole demo county for a seed: people, what truly happened, what is sent of it and in which order, and what must come of it."""

from __future__ import annotations

from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from gateway.demo import feeds
from gateway.demo.county import County, county
from gateway.demo.dangers import Dangers, dangers
from gateway.demo.laboratory import reports
from gateway.demo.life import Fact, directory, followups, profiles, readings, visits
from gateway.demo.parcel import Parcel, Rows
from gateway.demo.people import Resident, people
from gateway.demo.postbag import pack, shuffle
from gateway.demo.referrals import admissions, documents, referrals
from gateway.demo.stories import Story, stories
from gateway.demo.truth import Truth

__all__ = ["Parcel", "Rows", "Scenario"]

START, TODAY = date(2025, 7, 1), datetime(2026, 6, 30, 8)
"""The year that is told, and the day of its directory and profiles."""
REPORTS = 3.0
"""Laboratory reports a resident and year."""


class Scenario:
    """The county of a seed with about `residents` people; the same arguments give the same bytes."""

    def __init__(self, seed: int, residents: int) -> None:
        self.seed = seed
        self.county: County = county(Random(f"{seed}-county"))
        self.people: list[Resident] = people(self.county, Random(f"{seed}-people"), residents, TODAY.date())

    @cached_property
    def ordinary(self) -> list[Fact]:
        """What happened in the year, before dangers, each fact with the feed that carries it."""
        place, residents = self.county, self.people

        def chance(word: str) -> Random:
            return Random(f"{self.seed}-{word}")

        told = list(visits(place, residents, chance("visits"), START))
        found = [
            *directory(place, TODAY),
            *profiles(place, residents, chance("profiles"), TODAY),
            *followups(place, residents, chance("followups"), START),
            *readings(place, residents, chance("readings"), START),
            *told,
            *admissions(told, chance("admissions")),
            *documents(told, chance("documents")),
            *referrals(place, residents, chance("referrals"), START),
            *reports(place, residents, chance("reports"), START, round(len(residents) * REPORTS)),
        ]
        return [routed(fact) for fact in found]

    @cached_property
    def dangers(self) -> Dangers:
        """What is dangerous, wrong, corrected or broken on purpose."""
        return dangers(self.county, self.people, self.ordinary, Random(f"{self.seed}-dangers"))

    @property
    def facts(self) -> list[Fact]:
        """Everything that is sent as a readable record, versions and held ones too."""
        return self.dangers.facts

    @cached_property
    def truth(self) -> Truth:
        """What the gateway must hold in the end."""
        return Truth.of(self.people, self.facts, self.dangers)

    @cached_property
    def stories(self) -> list[Story]:
        """Three stories that the demo tells."""
        return stories(self.county, self.people, self.dangers)

    def sources(self, root: Path) -> list[dict[str, Any]]:
        """The [[source]] entries of yifang.toml; folders and front-end databases lie below `root`, the databases are made."""
        return feeds.sources(root)

    def parcels(self) -> list[Parcel]:
        """Everything that is sent, in order: duplicates, corrections, late ones and broken ones among it."""
        return shuffle([*pack(self.facts), *self.dangers.parcels], Random(f"{self.seed}-order"))


def routed(fact: Fact) -> Fact:
    """The fact with the feed that carries it."""
    if fact.source:
        return fact
    return Fact(fact.dataset, fact.institution, fact.stamp, fact.fields, fact.resident, feeds.feed_of(fact.dataset, fact.institution))
