"""References to residents that a client wrote: they follow the resident when two Patients are linked, and come back when these are parted.

A client names a Patient, not a number. Its reference follows the claim that this Patient was first given: the one that moves when a person
links the Patient away, and that comes back with it. A reference that names a version of a Patient means that version, and stays.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.fhir.references import parse_reference
from gateway.store.api.mentions import CLIENT, SUBJECTS, Rids
from gateway.store.composer import point
from gateway.store.residents import Residents
from gateway.store.states import Body, ResourceState
from gateway.store.unit import Unit

__all__ = ["Pairs", "forget", "former", "settled"]

Pairs = tuple[tuple[str, int], ...]
"""(path, source patient): which claim the reference at a path follows; the resident that the resource is about first."""


def settled(unit: Unit, residents: Residents, rids: Rids, body: Body, before: Mapping[str, int]) -> tuple[Body, Pairs]:
    """The body with its references where their residents stand now, and what they follow. before: what those of the version that is replaced
    follow: a client that sends back what it read still means the same person."""
    found = list(patients_named(body))
    held = rids.of(unit, {("Patient", id_) for _, id_ in found})
    pairs: list[tuple[str, int]] = []
    moved: list[tuple[str, str]] = []
    for path, id_ in found:
        patient = held.get(("Patient", id_))
        source = None if patient is None else _meant(residents, patient, path, before)
        if source is not None:
            pairs.append((path, source))
            if residents.claims[source].patient != patient:
                moved.append((path, "Patient/" + residents.patient_id(source)))
    if moved:
        body = copy.deepcopy(body)  # the client's own stays as it came, should the group be worked out again
        for path, reference in moved:
            point(body, path, reference)
    return body, tuple(sorted(pairs, key=_order))


def _meant(residents: Residents, patient: int, path: str, before: Mapping[str, int]) -> int | None:
    """The claim that a reference to this Patient follows; None where the Patient has none."""
    for source in (before.get(path), *before.values()):
        if source is not None and residents.claims[source].patient == patient:
            return source
    return residents.named(patient)


def _order(pair: tuple[str, int]) -> tuple[int, str]:
    path = pair[0]
    return SUBJECTS.index(path) if path in SUBJECTS else len(SUBJECTS), path


def former(unit: Unit, residents: Residents, rids: Rids, state: ResourceState) -> dict[str, int]:
    """Path -> source patient of what the current version, which only clients wrote, refers to."""
    if not state.version or state.deleted:
        return {}
    patients = set(rids.of(unit, {("Patient", id_) for _, id_ in patients_named(state.plain())}).values())
    residents.load_whole(patients)
    sources = [c.id for c in residents.claims.values() if c.patient in patients]
    own = f"SELECT path, source_patient FROM patient_link WHERE resource = {state.rid} AND record = {CLIENT}"
    kept = unit.raw.among(own + " AND source_patient {}", sources)
    links = {(source, path) for path, source in kept if (source, state.rid, CLIENT, path) not in unit.gone_links}
    links |= {(source, path) for source, rid, record, path in unit.links if (rid, record) == (state.rid, CLIENT)}
    return {path: source for source, path in sorted(links)}


def forget(unit: Unit, state: ResourceState, record: int, links: Iterable[tuple[str, int]]) -> None:
    """Takes links away that a resource no longer makes."""
    for path, source in links:
        row = (source, state.rid, record, path)
        unit.links.discard(row)
        unit.gone_links.append(row)


def patients_named(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, id) of every relative reference to a Patient in a body, paths as `participant[0].actor`."""
    if isinstance(value, dict):
        text = value.get("reference")
        if isinstance(text, str) and text.startswith("Patient/"):
            target = parse_reference(text)
            if target.type == "Patient" and not target.version:
                yield path, target.id
        for name, inner in value.items():
            if isinstance(inner, (dict, list)):
                yield from patients_named(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            if isinstance(inner, (dict, list)):
                yield from patients_named(inner, f"{path}[{n}]")
