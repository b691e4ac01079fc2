"""Composes resources anew from their contributions, inside the writer's working set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from gateway.fhir.json import decode, encode
from gateway.identity.link import Claim
from gateway.store.api.mentions import CLIENT, patient_named
from gateway.store.compose import Contribution, compose, fold
from gateway.store.residents import Residents
from gateway.store.states import Body, ContributionState, ResourceState
from gateway.store.unit import Unit

__all__ = ["Composer"]

REPLACED_BY = "replaced-by"


class Composer:
    """Writes new versions where the contributions of a resource, or the residents it refers to, changed."""

    def __init__(self, unit: Unit, residents: Residents) -> None:
        self.unit = unit
        self.residents = residents
        self.followed: dict[int, set[tuple[str, int]]] = {}  # resource that only clients write -> (path, source patient) of claims that moved

    def write(self, rid: int, *, seq: int, record: int | None, custodian: str) -> bool:
        """Composes one resource; whether that made a new version."""
        state = self.unit.resources[rid]
        if state.type == "Patient":
            if not state.version and not self.residents.of(rid):
                return False
            body: Body | None = self._patient(state)
            return self.unit.write(state, body, seq=seq, record=record, resident=rid, custodian=custodian)
        if rid in self.followed and not state.contributions:
            return self._follow(state, seq=seq, record=record, custodian=custodian)
        if len(state.contributions) == 1:
            (sole,) = state.contributions.values()
            if sole.present and not sole.part:
                body = self.body_of(sole)
                resident = self.residents.claims[sole.patients[0][1]].patient if sole.patients else None
                return self.unit.write(state, body, seq=seq, record=record, resident=resident, custodian=custodian)
        said = self._said(state)
        present = [c for c in said if c.present]
        if present:
            body = compose(state.type, present, self.unit.rules.precedence)
        elif said:
            body = self.unit.rules.vanish(state.type, max(said, key=lambda c: c.age).body)
        else:
            body = None
        return self.unit.write(state, body, seq=seq, record=record, resident=self._resident(state), custodian=custodian)

    def carry(self) -> set[int]:
        """After claims moved: contributions to a Patient go with their claim. Gives the resources that refer to one of the claims."""
        residents = self.residents
        moved, residents.moved = residents.moved, {}
        if not moved:
            return set()
        touched = self._referring(moved)
        self._carry(moved)
        residents.changed |= set(moved.values())
        origins = (residents.claims[id_].origin for id_ in moved)
        residents.changed |= {origin for origin in origins if origin is not None}  # who was linked away before says by whom it is replaced now
        return touched

    def write_all(self, rids: Iterable[int], *, seq: int, record: int | None, custodian: str) -> list[ResourceState]:
        """Composes these resources, and the Patients whose claims changed; gives those that got a new version."""
        residents, unit = self.residents, self.unit
        changed, residents.changed = residents.changed, set()
        if changed:
            residents.load_whole(changed)
            unit.load_resources(rids=changed | {c.patient for c in residents.claims.values() if c.patient is not None})
        wrote = []
        for rid in [*sorted(changed), *(r for r in dict.fromkeys(rids) if r not in changed)]:
            if self.write(rid, seq=seq, record=record, custodian=custodian):
                wrote.append(unit.resources[rid])
        return wrote

    def _referring(self, moved: Iterable[int]) -> set[int]:
        """Row numbers of the resources that refer to these claims, all of them loaded."""
        sources = set(moved)
        unit = self.unit
        if not unit.raw.sqlite:
            unit.raw.among("SELECT id FROM source_patient WHERE id {}", sources, "ORDER BY id FOR UPDATE")
        rows = unit.raw.among("SELECT source_patient, resource, record, path FROM patient_link WHERE source_patient {}", sources)
        gone = set(unit.gone_links)
        links = {tuple(r) for r in rows} - gone | {row for row in unit.links if row[0] in sources}
        for source, rid, record, path in links:
            if record == CLIENT:
                self.followed.setdefault(rid, set()).add((path, source))
        touched = {rid for _, rid, _, _ in links}
        unit.load_resources(rids=touched)
        return {rid for rid in touched if unit.resources[rid].type != "Patient"}

    def _follow(self, state: ResourceState, *, seq: int, record: int | None, custodian: str) -> bool:
        """A resource that only clients write, its references pointing where the claims they follow point now."""
        if state.deleted:
            return False
        body = state.plain()
        for path, source in self.followed[state.rid]:
            point(body, path, "Patient/" + self.residents.patient_id(source))
        about = patient_named(body)
        patient = self.unit.by_name.get(about) if about is not None else None
        resident = state.resident if patient is None else patient.rid
        return self.unit.write(state, body, seq=seq, record=record, resident=resident, custodian=custodian)

    def _carry(self, moved: dict[int, int]) -> None:
        """Contributions to a Patient go with the claim they came from."""
        unit = self.unit
        patients = {self.residents.claims[s].patient for s in moved} | set(moved.values())
        unit.load_resources(rids={p for p in patients if p is not None})
        by_id = {r.id: r for r in unit.records.values()}
        for source, former in moved.items():
            patient = self.residents.claims[source].patient
            assert patient is not None
            unit.load_covered(former)
            unit.load_covered(patient)
            for c in [c for c in unit.resources[former].contributions.values() if c.person == source]:
                unit.drop_contribution(c, by_id.get(c.record))
                carried = ContributionState(patient, c.record, c.person, c.part, c.rank, c.compose, c.by, c.present, c.content, c.patients,
                                            c.cleared, c.authority, c.key)  # fmt: skip
                unit.resources[patient].contributions[(c.record, c.person, c.part)] = carried
                if c.record in by_id:
                    by_id[c.record].contributions[(patient, c.person, c.part)] = carried

    def body_of(self, c: ContributionState) -> Body:
        """What the contribution says, its references to residents pointing where their claims point now."""
        body = c.body
        if body is None:
            body = self.unit.resources[c.resource].plain() if c.content is None else decode(c.content)
        if c.patients:
            self._load_claims(s for _, s in c.patients)
            for path, source in c.patients:
                reference = "Patient/" + self.residents.patient_id(source)
                if isinstance(direct := body.get(path), dict):
                    direct["reference"] = reference
                else:
                    point(body, path, reference)
        return body

    def keep(self, state: ResourceState) -> None:
        """Before another record says something of a resource, its sole contribution gets its own copy of what it said."""
        for c in state.contributions.values():
            if c.content is None:
                c.content = stored(c.body if c.body is not None else state.plain())
                c.dirty = True

    def _load_claims(self, sources: Iterable[int]) -> None:
        missing = [s for s in sources if s not in self.residents.claims]
        if missing:
            self.residents.load((), missing)

    def _said(self, state: ResourceState) -> list[Contribution]:
        """What every record says of the resource, the versions of delta records folded into one."""
        groups: dict[tuple[int, int], list[ContributionState]] = {}
        for c in state.contributions.values():
            if not c.covered:
                groups.setdefault((c.record, c.person), []).append(c)
        said = []
        for parts in groups.values():
            parts.sort(key=lambda c: c.rank)
            last = parts[-1]
            if len(parts) == 1 and not last.part:
                body = self.body_of(last)
            else:
                body = fold([self.body_of(c) for c in parts], [c.cleared for c in parts])
            stamp, tie = last.rank.split("|", 1)
            said.append(Contribution(last.record, last.authority, last.key, stamp, tie, last.compose, last.by, any(c.present for c in parts), body,
                                     (), last.person))  # fmt: skip
        return said

    def _resident(self, state: ResourceState) -> int | None:
        """Patient (row number) that the resource belongs to: that of the newest contribution with one."""
        linked = [c for c in state.contributions.values() if c.patients]
        if not linked:
            return None
        newest = max(linked, key=lambda c: (c.present, c.rank, c.authority, c.key))
        self._load_claims([newest.patients[0][1]])
        return self.residents.claims[newest.patients[0][1]].patient

    def _patient(self, state: ResourceState) -> Body:
        """A Patient: what records say of the resident, every number that is known of them; a linked-away one only points on."""
        claims = self.residents.of(state.rid)
        if not claims:
            return self._linked_away(state)
        said = [c for c in self._said(state) if c.present]
        body = dict(compose("Patient", said, self.unit.rules.precedence)) if said else {}
        identifiers = list(body.get("identifier", ()))
        known = {(i.get("system"), i.get("value")) for i in identifiers}
        for system, value in sorted({(n.system, n.value) for c in claims for n in c.numbers} - known):
            identifiers.append({"system": system, "value": value})
        if identifiers:
            body["identifier"] = identifiers
        _demographics(body, claims)
        return body

    def _linked_away(self, state: ResourceState) -> Body:
        self.residents.load_whole([state.rid])
        heirs = [c for c in self.residents.claims.values() if c.origin == state.rid and c.patient not in (None, state.rid)]
        body: Body = {"active": False}
        if heirs:
            heir = min(heirs, key=lambda c: c.order)
            assert heir.patient is not None
            self.unit.load_resources(rids=[heir.patient])
            body["link"] = [{"other": {"reference": "Patient/" + self.residents.patient_id(heir.id)}, "type": REPLACED_BY}]
        return body


def _demographics(body: Body, claims: list[Claim]) -> None:
    """Name, sex and birth date from the claims, where no record's Patient block says them."""
    for element, value in (
        ("name", next(([{"text": c.name}] for c in claims if c.name), None)),
        ("gender", next((c.sex for c in claims if c.sex), None)),
        ("birthDate", next((c.birth_date for c in claims if c.birth_date), None)),
    ):
        if value is not None and element not in body:
            body[element] = value


def point(body: Body, path: str, reference: str) -> None:
    """Writes a reference at a path such as `subject` or `participant[0].actor`; a path that is no longer there is left alone."""
    node: Any = body
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(node, list):
            node = node[int(step)] if step.isdigit() and int(step) < len(node) else node[0] if node and not step.isdigit() else None
            if not step.isdigit() and isinstance(node, dict):
                node = node.get(step)
        else:
            node = node.get(step) if isinstance(node, dict) else None
        if node is None:
            return
    if isinstance(node, dict):
        node["reference"] = reference


def stored(body: Body) -> bytes:
    """A contribution's bytes: the body without resourceType and id."""
    return encode({k: v for k, v in body.items() if k not in ("resourceType", "id")})


@lru_cache(maxsize=4096)
def patients_json(patients: tuple[tuple[str, int], ...]) -> str | None:
    """(path, source patient) pairs as the store keeps them."""
    return encode(patients).decode() if patients else None
