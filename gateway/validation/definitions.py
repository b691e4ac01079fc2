"""The validator's part of the R4 tables: invariants, profiles, complete code systems (https://hl7.org/fhir/R4/profiling.html).

Read from `profiles/r4/`, which `tools/build_r4_table.py` makes; what a deployment or a caller adds lies over it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from gateway.builtin import PROFILES
from gateway.validation.code_forms import FORMS

__all__ = ["Constraint", "Definitions", "ProfileDefinition", "from_structure_definition", "shipped"]

_REMEMBERED = 20_000
"""Codes whose answer is remembered."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant. error: False for a warning. human: HL7's sentence."""

    key: str
    error: bool
    expression: str
    human: str


@dataclass(frozen=True, slots=True)
class ProfileDefinition:
    """A profile or extension as its differential says it. context: (type, expression) where an extension may stand."""

    url: str
    type: str
    base: str
    elements: tuple[dict[str, Any], ...] = field(repr=False)
    context: tuple[tuple[str, str], ...] = ()
    modifier: bool = False


def from_structure_definition(resource: Mapping[str, Any]) -> ProfileDefinition:
    """A StructureDefinition (constraint) as a profile. Raises KeyError when it lacks a part, ValueError when it is none."""
    if resource.get("resourceType") != "StructureDefinition" or resource.get("derivation") != "constraint":
        raise ValueError("no StructureDefinition that constrains a type")
    view = resource.get("differential") or resource["snapshot"]
    elements = tuple(view["element"])
    context = tuple((c["type"], c["expression"]) for c in resource.get("context", ()))
    return ProfileDefinition(
        resource["url"], resource["type"], resource["baseDefinition"], elements, context, bool(elements and elements[0].get("isModifier"))
    )


class Definitions:
    """R4's definitions from a folder of the built tables, with further profiles over them."""

    def __init__(self, folder: Path, own: Iterable[ProfileDefinition] = ()) -> None:
        self._folder = folder
        self._own = {p.url: p for p in own}
        self._known: dict[tuple[str, str], bool | None] = {}
        self._value_sets: dict[str, frozenset[tuple[str, str]]] = {}

    def extended(self, own: Iterable[ProfileDefinition]) -> Definitions:
        """The same definitions with further profiles."""
        return Definitions(self._folder, [*self._own.values(), *own])

    @cached_property
    def _invariants(self) -> dict[str, list[list[str]]]:
        return dict(_read(self._folder / "invariants.json.gz"))

    @cached_property
    def _profiles(self) -> dict[str, Any]:
        return dict(_read(self._folder / "profiles.json.gz"))

    @cached_property
    def _systems(self) -> dict[str, frozenset[str]]:
        return {url: frozenset(codes) for url, codes in _read(self._folder / "systems.json.gz").items()}

    def invariant_paths(self) -> list[str]:
        """Every path at which the definitions add invariants."""
        return list(self._invariants)

    def invariants(self, path: str) -> list[Constraint]:
        """What the definitions add at an element (`Patient.contact`) or type (`Period`)."""
        return [Constraint(key, severity == "e", expression, human) for key, severity, expression, human in self._invariants.get(path, ())]

    def profile(self, url: str) -> ProfileDefinition | None:
        """The profile or extension of a canonical URL; its version is not asked."""
        url = url.partition("|")[0]
        if url in self._own:
            return self._own[url]
        row = self._profiles.get(url)
        if row is None:
            return None
        context = tuple((kind, expression) for kind, expression in row.get("c", ()))
        return ProfileDefinition(url, row["t"], row["b"], tuple(row["e"]), context, "!" in row)

    def value_set(self, url: str) -> frozenset[tuple[str, str]] | None:
        """(system, code) of a value set that a deployment brings; None when there is none of this URL."""
        return self._value_sets.get(url.partition("|")[0])

    def code_known(self, system: str, code: str) -> bool | None:
        """Whether a complete code system has the code; False also for what is no code of SNOMED CT or LOINC by its form; None when open."""
        try:
            return self._known[system, code]
        except KeyError:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            return self._known.setdefault((system, code), self._asked(system, code))

    def _asked(self, system: str, code: str) -> bool | None:
        codes = self._systems.get(system)
        if codes is None:
            return False if system in FORMS and not FORMS[system](code) else None
        return (code.lower() if "~" in codes else code) in codes


@lru_cache(maxsize=1)
def shipped() -> Definitions:
    """The definitions that come with the product."""
    return Definitions(PROFILES / "r4")


def _read(path: Path) -> Any:
    return msgspec.json.decode(gzip.decompress(path.read_bytes()))
