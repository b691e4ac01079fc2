"""Row numbers of resources that bodies refer to. They never change, so what was read once is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.fhir.references import parse_reference
from gateway.store.unit import Unit

__all__ = ["CLIENT", "SUBJECTS", "Rids", "named", "patient_named"]

SUBJECTS = ("subject", "patient", "for", "beneficiary", "individual", "recordTarget")
"""Elements that name the resident a resource is about, in the order they count."""
CLIENT = 0
"""Record of the links to residents that a resource makes of which only clients speak (`patient_link`)."""
KEPT = 100_000
"""Row numbers kept; then all are forgotten."""

Name = tuple[str, str]


def patient_named(body: dict[str, Any]) -> Name | None:
    """The Patient that a body is about, as (`Patient`, id)."""
    for element in SUBJECTS:
        value = body.get(element)
        text = value.get("reference") if isinstance(value, dict) else None
        if isinstance(text, str) and "Patient/" in text:
            target = parse_reference(text)
            if target.type == "Patient" and not target.base:
                return "Patient", target.id
    return None


def named(value: Any) -> Iterator[Name]:
    """(type, id) of every relative reference in a body."""
    if isinstance(value, dict):
        text = value.get("reference")
        if isinstance(text, str):
            target = parse_reference(text)
            if target.type and not target.base:
                yield target.type, target.id
        for inner in value.values():
            if isinstance(inner, (dict, list)):
                yield from named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner)


class Rids:
    """(type, id) -> row number of resources that were committed. Used by the writer's thread alone."""

    def __init__(self) -> None:
        self._known: dict[Name, int] = {}

    def of(self, unit: Unit, names: Iterable[Name]) -> dict[Name, int]:
        """Those of the names that are held: committed, or written by this group."""
        found: dict[Name, int] = {}
        missing: list[Name] = []
        for name in names:
            state = unit.by_name.get(name)
            if state is not None:
                if state.version:
                    found[name] = state.rid
            elif name in self._known:
                found[name] = self._known[name]
            else:
                missing.append(name)
        if missing:
            if len(self._known) > KEPT:
                self._known.clear()
            wanted = set(missing)
            for type_, id_, rid in unit.raw.among("SELECT type, id, rid FROM resource WHERE id {}", {id_ for _, id_ in missing}):
                if (type_, id_) in wanted:
                    found[(type_, id_)] = self._known[(type_, id_)] = rid
        return found
