"""The tables of a mapping set as FHIR resources: a CodeSystem for each system whose codes they list, a ValueSet for each national value set, a
ConceptMap for each code table.

https://hl7.org/fhir/R4/codesystem.html, https://hl7.org/fhir/R4/valueset.html, https://hl7.org/fhir/R4/conceptmap.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.terminology.tables import Code, CodeTable, TableRow, Terms

__all__ = ["Json", "equivalence_of", "published"]

Json = dict[str, Any]
EQUIVALENCES = frozenset({"relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact", "unmatched", "disjoint"})
"""http://hl7.org/fhir/concept-map-equivalence"""


def published(terms: Terms, base: str) -> Mapping[tuple[str, str], Json]:
    """(type, canonical URL) -> resource. base: the deployment's, in place of `{base}`."""
    made: dict[tuple[str, str], Json] = {}
    for resource in (*_code_systems(terms, base), *_value_sets(terms, base), *_concept_maps(terms, base)):
        made[resource["resourceType"], resource["url"]] = resource
    return made


def equivalence_of(row: TableRow) -> str:
    """What a row says of its two codes, as R4 names it; a word that R4 does not have is `relatedto`."""
    if not row.target.code:
        return "unmatched"
    return row.equivalence if row.equivalence in EQUIVALENCES else "relatedto"


def _head(type_: str, base: str, slug: str, title: str) -> Json:
    return {"resourceType": type_, "id": slug, "url": f"{base}/{type_}/{slug}", "title": title, "status": "active"}


def _code_systems(terms: Terms, base: str) -> Iterator[Json]:
    """Systems of ours hold exactly what the tables list; of a national one it may be a part."""
    concepts: dict[str, dict[str, str]] = {}
    titles: dict[str, str] = {}
    for name, codes in terms.value_sets.items():
        for code in codes:
            titles.setdefault(code.system, name)
            concepts.setdefault(code.system, {}).setdefault(code.code, code.display)
    for system, listed in concepts.items():
        url = system.replace("{base}", base)
        whole = _head("CodeSystem", base, _slug(system), titles[system]) | {"url": url}
        whole["content"] = "complete" if url != system else "fragment"
        yield whole | {"concept": [_concept(code, display) for code, display in listed.items()]}


def _value_sets(terms: Terms, base: str) -> Iterator[Json]:
    taken: set[str] = set()
    for name, codes in terms.value_sets.items():
        slug = _slug(codes[0].system)
        if slug in taken:  # a second set of the same system
            slug = f"{slug}-{len(taken)}"
        taken.add(slug)
        yield _head("ValueSet", base, slug, name) | {"compose": {"include": list(_included(codes, base))}}


def _included(codes: Iterable[Code], base: str) -> Iterator[Json]:
    by_system: dict[str, list[Json]] = {}
    for code in codes:
        by_system.setdefault(code.system.replace("{base}", base), []).append(_concept(code.code, code.display))
    for system, concepts in by_system.items():
        yield {"system": system, "concept": concepts}


def _concept_maps(terms: Terms, base: str) -> Iterator[Json]:
    """Tables of which some row leads somewhere; in the others the source code itself is what is meant."""
    for table in terms.tables.values():
        groups = _groups(table, base)
        if groups:
            yield _head("ConceptMap", base, table.name, table.name) | {"group": groups}


def _groups(table: CodeTable, base: str) -> list[Json]:
    groups: dict[tuple[str, str], dict[str, Json]] = {}
    rows = [row for rows in table.rows.values() for row in rows]
    if not any(row.target.code for row in rows):
        return []
    for row in rows:
        elements = groups.setdefault((row.source_system, row.target.system), {})
        element = elements.setdefault(row.source, _concept(row.source, row.source_display) | {"target": []})
        element["target"].append(_concept(row.target.code, row.target.display) | {"equivalence": equivalence_of(row)})
    found = []
    for (source, target), elements in groups.items():
        systems = {"source": source.replace("{base}", base), "target": target.replace("{base}", base)}
        found.append({name: system for name, system in systems.items() if system} | {"element": list(elements.values())})
    return found


def _concept(code: str, display: str) -> Json:
    return ({"code": code} if code else {}) | ({"display": display} if display else {})


def _slug(system: str) -> str:
    """An id for a system: the end of a URL, or `oid-` and the number."""
    return "oid-" + system.removeprefix("urn:oid:") if system.startswith("urn:oid:") else system.rstrip("/").rpartition("/")[2]
