"""Bindings of a profile (https://hl7.org/fhir/R4/terminologies.html#strength): required ones are held, extensible ones warned of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.shape import type_shape
from gateway.fhir.structure_values import Faults, shown
from gateway.validation.definitions import Definitions
from gateway.validation.fhirpath.items import Item, plain
from gateway.validation.fhirpath.scope import Env

__all__ = ["Binding"]


@dataclass(frozen=True, slots=True)
class Binding:
    """Codes that an element may hold. members: (system, code). units: whether it holds units only."""

    required: bool
    url: str
    members: frozenset[tuple[str, str]]
    units: bool

    @classmethod
    def of(cls, strength: str, url: str, definitions: Definitions) -> Binding | None:
        """A binding whose value set can be enumerated; None otherwise."""
        members = load().codes(url) or definitions.value_set(url)
        if members is None:
            return None
        units = {system for system, _ in members} == {"http://unitsofmeasure.org"}
        return cls(strength == "required", url.partition("|")[0], members, units)

    def check(self, item: Item, env: Env) -> Faults:
        """Whether one code at least of an item is of the value set; without any code only a required binding speaks.

        A value set of units says nothing of other values of a choice.
        """
        if self.units and type(item[0]) is dict and item[1] != type_shape("Quantity"):
            return None
        found = list(_codes(plain(item[0])))
        if any(pair in self.members or (pair[0] is None and any(pair[1] == c for _, c in self.members)) for pair in found):
            return None
        if not found and not self.required:
            return None
        told = shown(found[0][1]) if found else "没有代码"
        return [("", "code-not-allowed", f"{told}: 不在值集 {self.url} 里", "refuse" if self.required else "drop")]


def _codes(value: Any) -> Iterator[tuple[str | None, str]]:
    """(system, code) pairs of a code, Coding, CodeableConcept or Quantity."""
    if isinstance(value, str):
        yield None, value
    elif isinstance(value, dict):
        if isinstance(value.get("coding"), list):
            for coding in value["coding"]:
                yield from _codes(coding)
        elif isinstance(value.get("code"), str):
            yield value.get("system", ""), value["code"]
