"""Residents inside the writer's transaction: claims become Patients, and references follow when claims are linked or parted."""

from __future__ import annotations

import json
import secrets
from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import Conflict
from gateway.identity.link import Claim, another_person, assign, claim_digest, conflicts, partition
from gateway.record import PersonClaim, PersonNumber
from gateway.store.unit import Unit

__all__ = ["Residents"]

_SOURCE = "SELECT id, claim, numbers, name, sex, birth_date, origin, patient, pin FROM source_patient WHERE "


class Residents:
    """The claims that one group touches. moved: claims that stand for another Patient than before, with the former one."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.claims: dict[int, Claim] = {}
        self.digests: dict[str, int] = {}
        self.fresh: set[int] = set()
        self.dirty: set[int] = set()
        self.changed: set[int] = set()  # Patients to compose again
        self.moved: dict[int, int] = {}
        self._whole: set[int] = set()  # Patients all of whose claims are here
        self._named: dict[int, int | None] = {}  # Patient -> the claim that references by its id follow

    def load(self, claims: Iterable[PersonClaim], persons: Iterable[int]) -> None:
        """Reads the claims that are known, and for unknown ones everything that shares a number with them."""
        wanted = {claim_digest(c): c for c in claims}
        lock = "" if self.unit.raw.sqlite else "ORDER BY id FOR SHARE"
        self._take(self.unit.raw.among(_SOURCE + "claim {}", wanted.keys() - self.digests.keys(), lock))
        self._take(self.unit.raw.among(_SOURCE + "id {}", set(persons) - self.claims.keys(), lock))
        missing = [c for d, c in wanted.items() if d not in self.digests]
        if missing:
            numbers = {(n.system, n.value) for c in missing for n in c.numbers}
            self.unit.raw.lock(f"person:{s}|{v}" for s, v in numbers)
            self._take(self.unit.raw.among(_SOURCE + "claim {}", [claim_digest(c) for c in missing]))
            self._component({v for _, v in numbers})
        self._load_patients()

    def _take(self, rows: Sequence[Any]) -> list[Claim]:
        taken = []
        for id_, digest, numbers, name, sex, born, origin, patient, pin in rows:
            if id_ not in self.claims:
                parsed = tuple(PersonNumber(s, v, bool(strong)) for s, v, strong in json.loads(numbers))
                claim = self.claims[id_] = Claim(id_, parsed, name, sex, born, patient, origin, pin)
                self.digests[digest] = id_
                taken.append(claim)
        return taken

    def _component(self, values: set[str]) -> None:
        """Loads every claim that is joined to these numbers, directly or through other claims."""
        seen: set[str] = set()
        while values - seen:
            sources = {r[0] for r in self.unit.raw.among("SELECT source_patient FROM patient_number WHERE value {}", values - seen)}
            seen |= values
            self._take(self.unit.raw.among(_SOURCE + "id {}", sources - self.claims.keys()))
            values = {n.value for i in sources for n in self.claims[i].numbers}

    def load_whole(self, patients: Iterable[int]) -> None:
        """Reads all claims that stand for, or were first given, these Patients."""
        wanted = set(patients) - self._whole
        for column in ("patient", "origin"):
            self._take(self.unit.raw.among(_SOURCE + column + " {}", wanted))
        self._whole |= wanted

    def of(self, patient: int) -> list[Claim]:
        """All claims that stand for this Patient, in a fixed order."""
        self.load_whole([patient])
        return sorted((c for c in self.claims.values() if c.patient == patient), key=lambda c: c.order)

    def differs(self, person: int | None, claims: Sequence[PersonClaim]) -> Claim | None:
        """The person the record named before, when its present claims name another one."""
        before = self.claims.get(person) if person is not None else None
        if before is None or not claims or not another_person(before, claims[0]):
            return None
        return before

    def resolve(self, claim: PersonClaim) -> tuple[int, list[tuple[Claim, Claim]]]:
        """The claim's source patient, its reference written; a new claim is placed, which may link Patients. Also gives the pairs of
        claims that share a strong number and contradict each other, when the claim is new."""
        digest = claim_digest(claim)
        id_ = self.digests.get(digest)
        doubts: list[tuple[Claim, Claim]] = []
        if id_ is None:
            id_ = self.unit.raw.number()
            self.claims[id_] = Claim(id_, claim.numbers, claim.name, claim.sex, claim.birth_date)
            self.digests[digest] = id_
            self.fresh.add(id_)
            groups = self.settle(self.joined(id_))
            doubts = [pair for pair in conflicts(groups) if id_ in (pair[0].id, pair[1].id)]
        claim.reference["reference"] = "Patient/" + self.patient_id(id_)
        return id_, doubts

    def patient_id(self, source: int) -> str:
        """Id of the Patient that a claim stands for."""
        patient = self.claims[source].patient
        assert patient is not None
        if patient not in self.unit.resources:
            self.unit.load_resources(rids=[patient])
        return self.unit.resources[patient].id

    def named(self, patient: int) -> int | None:
        """The claim that a reference to this Patient by its id follows: one that it was first given, where it has any of its own; None for
        a Patient without claims. On PostgreSQL nobody links or parts them before this group is committed."""
        if patient not in self._named:
            lock = "" if self.unit.raw.sqlite else "ORDER BY id FOR SHARE"
            self._take(self.unit.raw.among(_SOURCE + "patient {}", [patient], lock))
            if not any(c.patient == c.origin == patient for c in self.claims.values()):
                self._take(self.unit.raw.among(_SOURCE + "origin {}", [patient], lock))
            own = [c for c in self.claims.values() if patient in (c.patient, c.origin)]
            own.sort(key=lambda c: (c.patient != patient, c.origin != patient, c.order))
            self._named[patient] = own[0].id if own else None
        return self._named[patient]

    def joined(self, source: int) -> list[Claim]:
        """The claim and all that are joined to it by numbers."""
        found = {source}
        numbers = set(self.claims[source].all)
        while True:
            more = {i for i, c in self.claims.items() if i not in found and c.all & numbers}
            if not more:
                return [self.claims[i] for i in found]
            found |= more
            for i in more:
                numbers |= self.claims[i].all

    def settle(self, claims: Sequence[Claim]) -> list[list[Claim]]:
        """Groups the claims anew and gives every group its Patient."""
        groups = partition(claims)
        self._load_patients()
        for id_, patient in assign(groups, self._allot).items():
            claim = self.claims[id_]
            if claim.patient != patient:
                if claim.patient is not None:
                    self.moved.setdefault(id_, claim.patient)
                    self.changed.add(claim.patient)
                self.claims[id_] = replace(claim, patient=patient, origin=claim.origin or patient)
                self.dirty.add(id_)
                self.changed.add(patient)
        return groups

    def _allot(self) -> int:
        id_ = "p" + b32encode(secrets.token_bytes(16)).decode("ascii")[:26].lower()
        state = self.unit.resource("Patient", id_)
        self._whole.add(state.rid)
        return state.rid

    def pin(self, claims: Iterable[Claim], patient: int | None) -> None:
        """A person decides that these claims belong to this Patient."""
        for claim in claims:
            self.claims[claim.id] = replace(self.claims[claim.id], pin=patient)
            self.dirty.add(claim.id)

    def link(self, a: int, b: int) -> int:
        """Makes two Patients one; the older one survives. Raises Conflict when they are one already."""
        survivor, other = min(a, b), max(a, b)
        if survivor == other or not self.of(other) or not self.of(survivor):
            raise Conflict("这两份居民档案已经是同一人, 或其中一份已并入他人; 用 `yifang residents link` 请给出两份各自有效的 Patient id")
        self._component({n.value for c in [*self.of(survivor), *self.of(other)] for n in c.numbers})
        self._load_patients()
        both = [*self.of(survivor), *self.of(other)]
        self.pin(both, survivor)
        for claim in both:
            if self.claims[claim.id].patient != survivor:
                self.moved.setdefault(claim.id, other)
                self.claims[claim.id] = replace(self.claims[claim.id], patient=survivor)
        self.changed |= {survivor, other}
        return survivor

    def unlink(self, patient: int) -> None:
        """Gives a linked-away Patient back exactly the claims that were its own. Raises Conflict when it has none elsewhere."""
        self.load_whole([patient])
        own = [c for c in self.claims.values() if c.origin == patient and c.patient != patient]
        if not own:
            raise Conflict("这份居民档案没有并入他人, 无可拆分; 请给出已并入他人(active 为 false、link 为 replaced-by)的那个 Patient id")
        hosts = {c.patient for c in own if c.patient is not None}
        self.load_whole(hosts)
        for host in hosts:
            self.pin([c for c in self.claims.values() if c.patient == host and c.origin != patient], host)
        self.pin(own, patient)
        for claim in own:
            assert claim.patient is not None
            self.moved.setdefault(claim.id, claim.patient)
            self.claims[claim.id] = replace(self.claims[claim.id], patient=patient)
        self.changed |= hosts | {patient}
        self._load_patients()

    def _load_patients(self) -> None:
        """Patients that any claim here stands for, or was first given and may get again."""
        rids = {rid for c in self.claims.values() for rid in (c.patient, c.origin) if rid is not None}
        self.unit.load_resources(rids=rids - self.unit.resources.keys())
