"""Expands the value sets of the R4 definitions as far as their code systems are enumerated there.

https://hl7.org/fhir/R4/valueset.html#expansion
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]
Expansion = dict[str, set[str]]


class CodeSource:
    """Code systems and value sets by URL."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self.systems: dict[str, Json] = {}
        self.sets: dict[str, Json] = {}
        for resource in resources:
            if resource["resourceType"] == "CodeSystem":
                self.systems[resource["url"]] = resource
            elif resource["resourceType"] == "ValueSet":
                self.sets[resource["url"]] = resource

    def expand(self, url: str) -> Expansion | None:
        """system -> codes of the value set, or None when it cannot be enumerated from the definitions."""
        value_set = self.sets.get(url.partition("|")[0])
        if value_set is None or "compose" not in value_set:
            return None
        found: Expansion = {}
        for include in value_set["compose"].get("include", []):
            part = self._part(include)
            if part is None:
                return None
            for system, codes in part.items():
                found.setdefault(system, set()).update(codes)
        for exclude in value_set["compose"].get("exclude", []):
            part = self._part(exclude)
            if part is None:
                return None
            for system, codes in part.items():
                found.get(system, set()).difference_update(codes)
        return {system: codes for system, codes in found.items() if codes}

    def _part(self, include: Json) -> Expansion | None:
        """Codes of one include or exclude: those of its system that are also in every value set it names."""
        parts: list[Expansion] = []
        for url in include.get("valueSet", []):
            imported = self.expand(url)
            if imported is None:
                return None
            parts.append(imported)
        if "system" in include:
            codes = self._of_system(include)
            if codes is None:
                return None
            parts.append({include["system"]: codes})
        first, *others = parts
        return {s: codes.intersection(*(o.get(s, set()) for o in others)) for s, codes in first.items()}

    def _of_system(self, include: Json) -> set[str] | None:
        if "concept" in include:
            return {c["code"] for c in include["concept"]}
        system = self.systems.get(include["system"])
        if system is None or system.get("content") != "complete":
            return None
        tree = list(concepts(system))
        codes = {c["code"] for c, _ in tree}
        for rule in include.get("filter", []):
            kept = _filtered(tree, rule)
            if kept is None:
                return None
            codes &= kept
        return codes


def concepts(system: Json) -> Iterator[tuple[Json, frozenset[str]]]:
    """Every concept of a code system with its ancestors, by nesting and by `subsumedBy`."""
    parents: dict[str, set[str]] = {}
    rows: list[Json] = []

    def walk(nodes: list[Json], above: str | None) -> None:
        for node in nodes:
            rows.append(node)
            own = parents.setdefault(node["code"], set())
            own.update([above] if above is not None else [])
            own.update(p["valueCode"] for p in node.get("property", []) if p["code"] == "subsumedBy")
            walk(node.get("concept", []), node["code"])

    walk(system.get("concept", []), None)
    for row in rows:
        reached: set[str] = set()
        waiting = list(parents[row["code"]])
        while waiting:
            code = waiting.pop()
            if code not in reached:
                reached.add(code)
                waiting.extend(parents.get(code, ()))
        yield row, frozenset(reached)


def _filtered(tree: list[tuple[Json, frozenset[str]]], rule: Json) -> set[str] | None:
    """Codes that pass one filter of a value set; None for a filter that the definitions do not need."""
    operator, value = rule["op"], rule["value"]
    if rule["property"] in ("concept", "code") and operator in ("is-a", "descendent-of"):
        own = {value} if operator == "is-a" else set()
        return own | {c["code"] for c, above in tree if value in above}
    if rule["property"] in ("concept", "code") and operator == "is-not-a":
        return {c["code"] for c, above in tree if value not in above and c["code"] != value}
    if operator == "=":
        return {c["code"] for c, _ in tree if any(p["code"] == rule["property"] and str(_property(p)) == value for p in c.get("property", []))}
    return None


def _property(row: Json) -> object:
    return next((v for k, v in row.items() if k.startswith("value")), None)
