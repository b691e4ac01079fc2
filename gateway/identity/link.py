"""Which claims speak of the same resident: pure decisions over values (design/records.md, "Identity").

The answer depends on the set of claims alone, never on the order in which they arrived: `partition` sorts them first. Residents are
linked on strong numbers; a local number joins a claim that has no strong one of its own to at most one group.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.record import PersonClaim, PersonNumber

__all__ = ["Claim", "another_person", "assign", "claim_digest", "conflicts", "contradicts", "partition"]

_SPACE = re.compile(r"[\s·•．.]+")


@dataclass(frozen=True, slots=True)
class Claim:
    """One distinct claim as the store keeps it (a source patient). patient: the Patient it stands for now, origin: the one it was
    first given, pin: the one a person decided on; all three are row numbers, None where there is none yet."""

    id: int
    numbers: tuple[PersonNumber, ...]
    name: str = ""
    sex: str = ""
    birth_date: str = ""
    patient: int | None = None
    origin: int | None = None
    pin: int | None = None

    @property
    def strong(self) -> frozenset[tuple[str, str]]:
        """(system, value) of the strong numbers."""
        return frozenset((n.system, n.value) for n in self.numbers if n.strong)

    @property
    def all(self) -> frozenset[tuple[str, str]]:
        """(system, value) of every number."""
        return frozenset((n.system, n.value) for n in self.numbers)

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """Sorts claims for `partition`: with strong numbers first, then the fuller ones, then by their text."""
        said = (self.name != "") + (self.sex != "") + (self.birth_date != "")
        text = "\x1e".join([*sorted(f"{s}\x1f{v}" for s, v in self.all), self.name, self.sex, self.birth_date])
        return (not self.strong, -said, -len(self.numbers), text)


def claim_digest(claim: PersonClaim) -> str:
    """Names a claim: the same numbers with the same demographics are one source patient."""
    said = "\x1d".join((claim.key, claim.name, claim.sex, claim.birth_date))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """A name for comparison: width and case folded, blanks and middle dots left out."""
    return _SPACE.sub("", unicodedata.normalize("NFKC", name)).casefold()


def contradicts(a: Claim | PersonClaim, b: Claim | PersonClaim) -> bool:
    """Whether the demographics cannot be one person's: another name, and another birth date or sex. What is not said contradicts nothing."""
    if not a.name or not b.name or plain_name(a.name) == plain_name(b.name):
        return False
    return _differ(a.birth_date, b.birth_date) or _differ(a.sex, b.sex)


def another_person(before: Claim | PersonClaim, now: Claim | PersonClaim) -> bool:
    """Whether a record that is known with `before` now names somebody else: contradicting demographics, or strong numbers (without
    any: local numbers) of which none is shared, unless name and birth date agree (a mistyped number that was mended)."""
    if contradicts(before, now):
        return True
    for numbers in (_strong, _all):
        old, new = numbers(before), numbers(now)
        if old and new:
            return not (old & new) and not _agree(before, now)
    return not (_all(before) & _all(now)) and not _agree(before, now)


def partition(claims: Sequence[Claim]) -> list[list[Claim]]:
    """The claims grouped by person. Pinned claims stay where a person put them; groups come in a fixed order."""
    groups: list[list[Claim]] = []
    pinned: dict[int, list[Claim]] = {}
    ordered = sorted(claims, key=lambda c: c.order)
    for claim in ordered:
        if claim.pin is not None:
            if claim.pin not in pinned:
                pinned[claim.pin] = []
                groups.append(pinned[claim.pin])
            pinned[claim.pin].append(claim)
    for claim in ordered:
        if claim.pin is None:
            _place(claim, groups)
    return groups


def _place(claim: Claim, groups: list[list[Claim]]) -> None:
    """Puts a claim into the group it fits best, joining groups that it shows to be one."""
    numbers = _strong if claim.strong else _all
    wanted = numbers(claim)
    near = [g for g in groups if any(wanted & numbers(m) for m in g) and not any(contradicts(m, claim) for m in g)]
    if not near:
        groups.append([claim])
        return
    near.sort(key=lambda g: (-max(_agreement(m, claim) for m in g), min(m.order for m in g)))
    home = near[0]
    home.append(claim)
    for other in near[1:]:
        if _may_join(home, other):
            home.extend(other)
            groups[:] = [g for g in groups if g is not other]


def _may_join(a: Sequence[Claim], b: Sequence[Claim]) -> bool:
    """Two groups may become one unless a person parted them, they contradict, or only a local number would join two strong ones."""
    pins = {m.pin for m in (*a, *b) if m.pin is not None}
    if len(pins) > 1 or any(contradicts(m, n) for m in a for n in b):
        return False
    strong_a, strong_b = (frozenset().union(*(m.strong for m in g)) for g in (a, b))
    return not (strong_a and strong_b) or any(strong_a & m.strong and strong_b & m.strong for m in (*a, *b))


def conflicts(groups: Sequence[Sequence[Claim]]) -> list[tuple[Claim, Claim]]:
    """Pairs of claims that share a strong number and yet stand in different groups (a mother's card used for her child)."""
    found: list[tuple[Claim, Claim]] = []
    for i, a in enumerate(groups):
        for b in groups[i + 1 :]:
            pairs = ((m, n) for m in a for n in b if m.strong & n.strong and contradicts(m, n))
            first = next(pairs, None)
            if first is not None:
                found.append(first)
    return found


def assign(groups: Sequence[Sequence[Claim]], allot: Callable[[], int]) -> Mapping[int, int]:
    """Claim id -> Patient. A group keeps the Patient a person pinned, else the oldest one that was first given to one of its claims,
    else the oldest one that any of them stands for; a group without one gets a new Patient from `allot`."""
    taken: set[int] = {m.pin for g in groups for m in g if m.pin is not None}
    answer: dict[int, int] = {}
    for group in groups:
        pins = {m.pin for m in group if m.pin is not None}
        origins = {m.origin for m in group if m.origin is not None}
        present = {m.patient for m in group if m.patient is not None}
        free = [*sorted(pins), *(p for p in sorted(origins) if p not in taken), *(p for p in sorted(present) if p not in taken)]
        patient = free[0] if free else allot()
        taken.add(patient)
        answer.update({m.id: patient for m in group})
    return answer


def _strong(claim: Claim | PersonClaim) -> frozenset[tuple[str, str]]:
    return frozenset((n.system, n.value) for n in claim.numbers if n.strong)


def _all(claim: Claim | PersonClaim) -> frozenset[tuple[str, str]]:
    return frozenset((n.system, n.value) for n in claim.numbers)


def _differ(a: str, b: str) -> bool:
    return bool(a) and bool(b) and a != b


def _agree(a: Claim | PersonClaim, b: Claim | PersonClaim) -> bool:
    return bool(a.name and a.birth_date) and plain_name(a.name) == plain_name(b.name) and a.birth_date == b.birth_date


def _agreement(a: Claim, b: Claim) -> int:
    """How much of what both say agrees: shared numbers count most, then name, birth date, sex."""
    shared = len(a.all & b.all)
    name = bool(a.name) and plain_name(a.name) == plain_name(b.name)
    return 8 * shared + 4 * name + 2 * (bool(a.birth_date) and a.birth_date == b.birth_date) + (bool(a.sex) and a.sex == b.sex)
