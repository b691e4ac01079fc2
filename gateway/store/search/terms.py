"""Terminology that the store holds, for `:in`, `:not-in`, `:below`, `:above`: ValueSet and CodeSystem resources, and R4's own value sets.

https://hl7.org/fhir/R4/valueset.html#compositions, https://hl7.org/fhir/R4/codesystem.html#hierarchy
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.elements import R4
from gateway.store.index.match.asked import Code

__all__ = ["StoredTerms"]

Json = Mapping[str, Any]
NESTED = 8
"""How deep value sets may include each other."""


@dataclass(frozen=True, slots=True)
class StoredTerms:
    """find(type, url): the stored resource with that canonical URL (or `Type/id`), None when there is none."""

    r4: R4
    find: Callable[[str, str], Json | None]

    def members(self, valueset: str) -> frozenset[Code] | None:
        """Codes of a value set; None when it, or something that it includes, is not here."""
        return self._members(valueset, 0)

    def _members(self, valueset: str, depth: int) -> frozenset[Code] | None:
        known = self.r4.codes(valueset)
        held = self.find("ValueSet", valueset) if known is None and depth < NESTED else None
        if held is None:
            return known
        expansion = held.get("expansion")
        if isinstance(expansion, dict) and isinstance(expansion.get("contains"), list):
            return frozenset(_contained(expansion["contains"]))
        compose = held.get("compose")
        if not isinstance(compose, dict):
            return None
        included = [self._rule(rule, depth) for rule in _dicts(compose.get("include"))]
        excluded = [self._rule(rule, depth) for rule in _dicts(compose.get("exclude"))]
        if any(part is None for part in [*included, *excluded]):
            return None
        return frozenset[Code]().union(*[p for p in included if p]) - frozenset[Code]().union(*[p for p in excluded if p])

    def _rule(self, rule: Json, depth: int) -> frozenset[Code] | None:
        """One include or exclude: its codes, kept to the value sets that it names."""
        parts: list[frozenset[Code] | None] = [self._members(url, depth + 1) for url in rule.get("valueSet", ()) if isinstance(url, str)]
        system = rule.get("system")
        if isinstance(system, str):
            parts.append(self._of_system(system, rule))
        if not parts or any(part is None for part in parts):
            return None
        return frozenset.intersection(*[p for p in parts if p is not None])

    def _of_system(self, system: str, rule: Json) -> frozenset[Code] | None:
        if "concept" in rule:
            return frozenset((system, c["code"]) for c in _dicts(rule["concept"]) if isinstance(c.get("code"), str))
        parents = self._parents(system)
        if parents is None:
            return None
        codes = frozenset((system, code) for code in parents)
        for wanted in _dicts(rule.get("filter")):
            if wanted.get("property") != "concept" or wanted.get("op") not in ("is-a", "descendent-of"):
                return None
            below = self.below(system, str(wanted.get("value"))) or frozenset()
            codes &= below if wanted["op"] == "is-a" else below - {(system, str(wanted.get("value")))}
        return codes

    def below(self, system: str, code: str) -> frozenset[Code] | None:
        """A code with its descendants; None when the code system is not here."""
        parents = self._parents(system)
        if parents is None:
            return None
        return frozenset((system, c) for c in parents if code in _line(parents, c)) | {(system, code)}

    def above(self, system: str, code: str) -> frozenset[Code] | None:
        """A code with its ancestors; None when the code system is not here."""
        parents = self._parents(system)
        return None if parents is None else frozenset((system, c) for c in _line(parents, code))

    def _parents(self, system: str) -> dict[str, set[str]] | None:
        """Every code of a code system with the codes right above it, by nesting and by the property `parent`."""
        held = self.find("CodeSystem", system)
        if held is None:
            return None
        parents: dict[str, set[str]] = {}
        for code, above, concept in _concepts(held.get("concept"), None):
            own = parents.setdefault(code, set())
            own |= {above} if above is not None else set()
            own |= {str(p.get("valueCode")) for p in _dicts(concept.get("property")) if p.get("code") == "parent"}
        return parents


def _line(parents: Mapping[str, set[str]], code: str) -> set[str]:
    """A code and everything above it."""
    found, ahead = {code}, [code]
    while ahead:
        new = parents.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


def _concepts(concepts: Any, above: str | None) -> Iterator[tuple[str, str | None, Json]]:
    for concept in _dicts(concepts):
        code = concept.get("code")
        if isinstance(code, str):
            yield code, above, concept
            yield from _concepts(concept.get("concept"), code)


def _contained(contains: Any) -> Iterator[Code]:
    """(system, code) of an expansion; abstract entries only group."""
    for one in _dicts(contains):
        if isinstance(one.get("code"), str) and one.get("abstract") is not True:
            yield str(one.get("system", "")), one["code"]
        yield from _contained(one.get("contains"))


def _dicts(value: Any) -> list[Json]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
