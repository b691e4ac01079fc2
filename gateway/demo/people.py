"""The residents of the demo county: families in villages, with valid numbers of an area that does not exist."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from gateway.demo.county import AREA, County, Institution
from gateway.demo.names import given_name, surname

__all__ = ["Resident", "check_character", "fifteen", "id_card", "people"]

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


@dataclass(frozen=True, slots=True)
class Resident:
    """One person as they truly are. number: the generator's own, which no source ever sends; card: "" while there is none (newborns,
    and some very old people); archive: 17 digits, "" for people without a file; sex: `1` male, `2` female; family: number of the head."""

    number: int
    name: str
    sex: str
    born: date
    card: str
    archive: str
    village: str
    family: int
    mother: int | None = None
    phone: str = ""
    hypertension: bool = False
    diabetes: bool = False

    def age(self, on: date) -> int:
        """Completed years on a day."""
        return on.year - self.born.year - ((on.month, on.day) < (self.born.month, self.born.day))


def check_character(first17: str) -> str:
    """Last character of a resident's card (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return _CHECK[sum(int(d) * w for d, w in zip(first17, _WEIGHTS, strict=True)) % 11]


def id_card(born: date, sex: str, serial: int) -> str:
    """A valid card of the demo's area. serial: 0 to 499; odd last digits are men's."""
    first17 = f"{AREA}{born:%Y%m%d}{serial * 2 + (1 if sex == '1' else 0):03}"
    return first17 + check_character(first17)


def fifteen(card: str) -> str:
    """The 15-digit form of a card whose holder was born in the 20th century."""
    return card[:6] + card[8:17]


def people(county: County, chance: Random, count: int, today: date) -> list[Resident]:
    """About `count` residents (whole families), spread over the villages; the same seed gives the same people."""
    villages = county.at_level("4")
    found: list[Resident] = []
    serials = dict.fromkeys((v.code for v in villages), 0)
    cards: set[str] = set()
    while len(found) < count:
        village = villages[len({r.family for r in found}) % len(villages)]
        for resident in _family(len(found), village, chance, today):
            serials[village.code] += 1
            archive = f"{village.area}{serials[village.code]:05}"
            numbered = _numbered(resident, archive, chance, today)
            while numbered.card in cards:
                numbered = _numbered(resident, archive, chance, today)
            if serials[village.code] == 1:  # every village follows up somebody, however small the county
                numbered = replace(numbered, hypertension=True, diabetes=True)
            cards |= {numbered.card} - {""}
            found.append(numbered)
    return found


def _family(first: int, village: Institution, chance: Random, today: date) -> list[Resident]:
    """A couple, most with children, some with an old parent."""

    def member(offset: int, name: str, sex: str, age: float, mother: int | None = None) -> Resident:
        born = today - timedelta(days=int(age * 365.25) + chance.randrange(300))
        return Resident(first + offset, name, sex, born, "", "", village.code, first, mother, f"139{chance.randrange(10**8):08}")

    family_name = surname(chance)
    age = chance.uniform(24, 80)
    found = [
        member(0, family_name + given_name(chance), "1", age),
        member(1, surname(chance) + given_name(chance), "2", max(22.0, age - chance.uniform(-3, 6))),
    ]
    for _ in range(chance.choice((0, 1, 1, 2, 2, 3)) if age < 55 else 0):
        found.append(member(len(found), family_name + given_name(chance), chance.choice("12"), max(0.0, age - chance.uniform(23, 34)), first + 1))
    if age < 60 and chance.random() < 0.35:
        found.append(member(len(found), surname(chance) + given_name(chance), "2", age + chance.uniform(20, 30)))
    return found


def _numbered(resident: Resident, archive: str, chance: Random, today: date) -> Resident:
    """The resident with card, archive number and chronic diseases; newborns have no card yet."""
    age = resident.age(today)
    card = "" if age < 1 else id_card(resident.born, resident.sex, chance.randrange(500))
    ill = 0.02 if age < 35 else 0.28 if age < 60 else 0.55
    return Resident(
        resident.number,
        resident.name,
        resident.sex,
        resident.born,
        card,
        archive,
        resident.village,
        resident.family,
        resident.mother,
        resident.phone,
        hypertension=age >= 18 and chance.random() < ill,
        diabetes=age >= 18 and chance.random() < ill / 2.5,
    )
