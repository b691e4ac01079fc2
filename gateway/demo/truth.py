"""Judges what a store holds against what truly happened: what is lost, what is there twice, what is said wrongly or of somebody else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.demo.dangers import Dangers
from gateway.demo.expected import Expected, expected, record_key
from gateway.demo.life import Fact
from gateway.demo.people import Resident

__all__ = ["Persona", "Truth", "Verdict"]

CARD, ARCHIVE = "urn:oid:2.16.156.10011.1.3", "urn:oid:2.16.156.10011.1.2"
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Names of what is not as it should be; a name is `Type namespace value`, of invented people only."""

    lost: list[str]
    duplicated: list[str]
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class Persona:
    """One person as systems can know them: name, and numbers as (system, value). Who is known under two names that may not be linked (a
    child under the mother's card) is two personas."""

    name: str
    numbers: frozenset[tuple[str, str]]


@dataclass(slots=True)
class _Found:
    """What was seen of the resources: Patients by id, business keys with the resources that have them."""

    patients: dict[str, dict[str, Any]] = field(default_factory=dict)
    keyed: dict[Key, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Truth:
    """expected: resources by business key; personas: by number of the person; expected_holds: finding code -> records that must wait for
    a person (single results too)."""

    expected: Mapping[Key, Expected]
    personas: Mapping[int, Persona]
    expected_holds: Mapping[str, int]

    @classmethod
    def of(cls, people: Sequence[Resident], facts: Iterable[Fact], dangers: Dangers) -> Truth:
        """From the newest version of every record that is not expected to be held."""
        newest: dict[tuple[str, str, tuple[str, ...]], Fact] = {}
        for fact in facts:
            key = record_key(fact)
            if key not in dangers.held and (key not in newest or fact.stamp > newest[key].stamp):
                newest[key] = fact
        found: dict[Key, Expected] = {}
        for key, fact in newest.items():
            for one in expected(fact, dangers.withheld.get(key, frozenset())):
                before = found.get(one.key)
                found[one.key] = replace(one, says=tuple(dict([*before.says, *one.says]).items())) if before else one
        seen = {one.person for one in found.values() if one.person is not None}
        known = {r.number: Persona(r.name, numbers(r)) for r in people} | {n: Persona(*p) for n, p in dangers.personas.items()}
        return cls(found, {n: p for n, p in known.items() if n in seen}, dangers.holds)

    def judge(self, resources: Iterable[dict[str, Any]], base: str) -> Verdict:
        """Compares all current resources (no history, nothing deleted) of a store or a FHIR server. base: the deployment's, whose
        `/ids/<namespace>` systems hold the business numbers."""
        found = _gather(resources, f"{base}/ids/")
        who, wrong, twice = self._people(found.patients)
        lost = [f"Patient {self.personas[n].name}" for n in self.personas if n not in who.values()]
        for key, one in self.expected.items():
            there = found.keyed.get(key, [])
            if not there:
                lost.append(" ".join(key))
            elif len(there) > 1:
                twice.append(" ".join(key))
            for resource in there:
                wrong += [f"{' '.join(key)}: {fault}" for fault in self._faults(one, resource, who)]
        covered = {(type_, namespace) for type_, namespace, _ in self.expected}
        wrong += [f"{' '.join(key)}: nobody said this" for key in found.keyed if key[:2] in covered and key not in self.expected]
        return Verdict(lost, twice, wrong)

    def _people(self, patients: Mapping[str, dict[str, Any]]) -> tuple[dict[str, int], list[str], list[str]]:
        """Patient id -> person; faults; persons with more than one Patient."""
        by_number: dict[tuple[str, str], list[int]] = {}
        for number, persona in self.personas.items():
            for system_value in persona.numbers:
                by_number.setdefault(system_value, []).append(number)
        who: dict[str, int] = {}
        wrong, twice = [], []
        for id_, patient in patients.items():
            candidates = [n for pair in _identifiers(patient) for n in by_number.get(pair, [])]
            fits = {n for n in candidates if self.personas[n].name in _names(patient)}
            if len(fits) != 1:
                wrong.append(f"Patient/{id_}: {'nobody' if not fits else 'several people'} of the county")
                continue
            person = fits.pop()
            if person in who.values():
                twice.append(f"Patient {self.personas[person].name}")
            who[id_] = person
        return who, wrong, twice

    def _faults(self, one: Expected, resource: Mapping[str, Any], who: Mapping[str, int]) -> Iterator[str]:
        if one.person is not None:
            target = _subject(resource)
            if who.get(target) != one.person:
                yield f"belongs to {target or 'nobody'}"
        said = _said(resource)
        for what, how in one.says:
            if not any(_same(how, other, one.tolerance) for other in said.get(what, ())):
                yield f"{what} should be {how}, not {'、'.join(sorted(said.get(what, ()))) or 'absent'}"


def numbers(resident: Resident) -> frozenset[tuple[str, str]]:
    """Strong numbers of a resident."""
    return frozenset((system, value) for system, value in ((CARD, resident.card), (ARCHIVE, resident.archive)) if value)


def _gather(resources: Iterable[dict[str, Any]], prefix: str) -> _Found:
    found = _Found()
    for resource in resources:
        if resource["resourceType"] == "Patient":
            if resource.get("active") is not False and not any(link.get("type") == "replaced-by" for link in resource.get("link", ())):
                found.patients[str(resource["id"])] = resource
            continue
        for system, value in _identifiers(resource):
            if system.startswith(prefix):
                found.keyed.setdefault((resource["resourceType"], system.removeprefix(prefix), value), []).append(resource)
    return found


def _identifiers(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(system, value) of all identifiers; a type with one identifier (QuestionnaireResponse) has it bare."""
    found = resource.get("identifier", ())
    listed = [found] if isinstance(found, Mapping) else found
    return [(str(i.get("system", "")), str(i.get("value", ""))) for i in listed]


def _names(patient: Mapping[str, Any]) -> set[str]:
    return {str(n.get("text") or n.get("family", "") + "".join(n.get("given", ()))).replace(" ", "") for n in patient.get("name", ())}


def _subject(resource: Mapping[str, Any]) -> str:
    """Id of the Patient a resource belongs to, "" when there is none."""
    for element in ("subject", "patient", "beneficiary", "for"):
        reference = str(resource.get(element, {}).get("reference", "")) if element in resource else ""
        if "Patient/" in reference:
            return reference.rpartition("Patient/")[2].partition("/")[0]
    return ""


def _said(resource: Mapping[str, Any]) -> dict[str, set[str]]:
    """What the resource says, by the words of `Expected.says`."""
    said: dict[str, set[str]] = {
        "code": {str(c.get("code")) for c in resource.get("code", {}).get("coding", ())} if isinstance(resource.get("code"), dict) else set()
    }
    if "status" in resource:
        said["status"] = {str(resource["status"])}
    quantity = resource.get("valueQuantity", {})
    said["value"] = {str(v) for v in (quantity.get("value"), resource.get("valueString")) if v is not None}
    said["unit"] = {str(quantity[k]) for k in ("code", "unit") if k in quantity}
    name = resource.get("name", ())
    said["name"] = {name} if isinstance(name, str) else {str(n.get("text", "")) for n in name}
    for component in resource.get("component", ()):
        for coding in component["code"].get("coding", ()):
            said[str(coding.get("code"))] = {str(component.get("valueQuantity", {}).get("value", ""))}
    return said


def _same(how: str, other: str, tolerance: Decimal) -> bool:
    if how == other:
        return True
    try:
        return abs(Decimal(how) - Decimal(other)) <= tolerance
    except InvalidOperation:
        return False
