"""What the validator needs of the R4 definitions beside types and codes: invariants, constraint profiles, complete code systems.

https://hl7.org/fhir/R4/elementdefinition.html · https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tools.r4_codes import CodeSource, concepts

Json = dict[str, Any]
_EVERYWHERE = frozenset({"ele-1", "ext-1"})
"""Invariants of every element and extension: the structure check judges them."""
CORRECTED = {
    "que-12": "enableWhen.count() > 1 implies enableBehavior.exists()",  # "if there are more than one enableWhen", corrected in R4B
    "que-7": "operator = 'exists' implies (answer is boolean)",
}
"""Invariants whose expression misses its own sentence in R4 4.0.1."""
SIMPLE = ["sqty-1", "e", "comparator.empty()", "The comparator is not used on a SimpleQuantity"]
"""What SimpleQuantity adds to Quantity, at the elements that ask for it."""
_KEPT = ("id", "path", "sliceName", "slicing", "min", "max", "contentReference")
_TYPE = ("code", "profile", "targetProfile")
_BINDING = ("strength", "valueSet")


def constraint(row: Json) -> list[str]:
    """[key, e(rror) or w(arning), FHIRPath, sentence]."""
    return [row["key"], row["severity"][0], CORRECTED.get(row["key"], row["expression"]), row["human"]]


def invariants(definitions: Iterable[Json]) -> Json:
    """Element path -> constraints that the element adds, by the definitions of types and resources."""
    found: Json = {}
    by_name = {d["name"]: d for d in definitions}
    for _, definition in sorted(by_name.items()):
        base = by_name.get(definition.get("baseDefinition", "").rpartition("/")[2])
        inherited = {c["key"] for c in base["snapshot"]["element"][0].get("constraint", [])} if base else set()
        for number, element in enumerate(definition["snapshot"]["element"]):
            known = _EVERYWHERE | inherited if number == 0 else _EVERYWHERE
            rows = [constraint(c) for c in element.get("constraint", []) if c["key"] not in known and "expression" in c]
            if any(p.endswith("/SimpleQuantity") for t in element.get("type", []) for p in t.get("profile", [])):
                rows.append(SIMPLE)
            if rows:
                found[element["path"]] = rows
    return found


def profile(definition: Json) -> Json:
    """A constraint profile: t type, b base, c contexts of an extension (type, expression), e differential elements."""
    row: Json = {"t": definition["type"], "b": definition["baseDefinition"], "e": [element(e) for e in definition["differential"]["element"]]}
    if "context" in definition:
        row["c"] = [[c["type"], c["expression"]] for c in definition["context"]]
    if definition["type"] == "Extension" and definition["snapshot"]["element"][0].get("isModifier"):
        row["!"] = 1
    return row


def element(full: Json) -> Json:
    """What constrains of an element of a differential."""
    row = {k: full[k] for k in _KEPT if k in full} | {k: v for k, v in full.items() if k.startswith(("fixed", "pattern"))}
    if "type" in full:
        row["type"] = [{k: t[k] for k in _TYPE if k in t} for t in full["type"]]
    if "binding" in full and full["binding"]["strength"] in ("required", "extensible"):
        row["binding"] = {k: full["binding"][k] for k in _BINDING if k in full["binding"]}
    if "constraint" in full:
        rows = [{k: c[k] for k in ("key", "severity", "expression", "human")} for c in full["constraint"] if "expression" in c]
        row |= {"constraint": [c for c in rows if c["key"] not in _EVERYWHERE]}
    return row


def profiles(definitions: Iterable[Json]) -> Json:
    """Every profile and extension by URL."""
    return {d["url"]: profile(d) for d in sorted(definitions, key=lambda d: str(d["url"]))}


def systems(codes: CodeSource) -> Json:
    """Every complete code system by URL: its codes, in lower case when case does not count (`~` first)."""
    rows: Json = {}
    for url, system in sorted(codes.systems.items()):
        if system.get("content") == "complete":
            own = sorted({c["code"] for c, _ in concepts(system)})
            rows[url] = own if system.get("caseSensitive", True) else ["~", *sorted({c.lower() for c in own})]
    return rows
