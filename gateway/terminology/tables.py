"""National value sets, identifier systems, code systems and code tables, as `mappings/tables/*.csv` has them.

A code table says what a source code becomes: `source,source_display,target_system,target,target_display,equivalence,note`, optionally
`source_system`. Several rows with one source are several codings of one concept; a row without target says that nothing corresponds.
Systems may begin with `{base}`, the deployment's own base URL, put in by `Terms.systems`.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

NOT_TABLES = frozenset({"valuesets", "identifiers", "codesystems", "items", "units", "precedence", "governed", "vanished"})
TABLE_COLUMNS = ("source", "source_display", "target_system", "target", "target_display", "equivalence", "note")


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a system."""

    system: str
    code: str
    display: str = ""

    def coding(self, base: str) -> dict[str, str]:
        """As a FHIR Coding."""
        made = {"system": self.system.replace("{base}", base), "code": self.code} if self.system else {"code": self.code}
        return made | {"display": self.display} if self.display else made


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a code table; target "" = nothing corresponds."""

    source: str
    source_display: str
    source_system: str
    target: Code
    equivalence: str
    line: int


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A code table; `rows` by source code, in the order of the file."""

    name: str
    file: str
    rows: Mapping[str, tuple[TableRow, ...]]


@dataclass(frozen=True, slots=True)
class IdentifierSystem:
    """A kind of number: its system, HL7 v2 type code, and whether residents may be linked on it."""

    name: str
    system: str
    type_code: str
    strong: bool
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A laboratory item: its unit and limits; molar mass in g/mol for conversion between mass and substance."""

    loinc: str
    display: str
    ucum: str
    possible_low: Decimal | None
    possible_high: Decimal | None
    alarm_low: Decimal | None
    alarm_high: Decimal | None
    molar_mass: Decimal | None


@dataclass(slots=True)
class Terms:
    """All tables of a mapping set."""

    value_sets: dict[str, tuple[Code, ...]] = field(default_factory=dict)
    identifiers: dict[str, IdentifierSystem] = field(default_factory=dict)
    code_systems: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    tables: dict[str, CodeTable] = field(default_factory=dict)

    def nearest_value_set(self, name: str) -> str:
        """`, 最接近的是 …` or nothing."""
        return nearest(name, self.value_sets)

    def display(self, system: str, code: str) -> str:
        """The display of a code where a value set names it, else empty."""
        for codes in self.value_sets.values():
            for c in codes:
                if c.code == code and c.system == system:
                    return c.display
        return ""


def read_terms(files: Mapping[str, bytes], folder: str = "tables/") -> Terms:
    """Reads all tables of a mapping set; paths are relative to it."""
    terms = Terms()
    for path, content in files.items():
        if not (path.startswith(folder) and path.endswith(".csv")):
            continue
        name, text = path.removeprefix(folder).removesuffix(".csv"), content.decode("utf-8-sig")
        if name not in NOT_TABLES:
            terms.tables[name] = read_table(name, path, text)
            continue
        rows = list(csv.DictReader(io.StringIO(text)))
        if name == "valuesets":
            _value_sets(terms, rows)
        elif name == "identifiers":
            terms.identifiers = {r["name"]: _identifier(r) for r in rows}
        elif name == "codesystems":
            terms.code_systems = {r["name"]: r["system"] for r in rows}
        elif name == "items":
            terms.items = {r["loinc"]: _item(r) for r in rows}
    return terms


def read_table(name: str, path: str, text: str) -> CodeTable:
    """Reads one code table."""
    reader = csv.DictReader(io.StringIO(text))
    rows: dict[str, list[TableRow]] = {}
    for r in reader:
        row = {k: (v or "").strip() for k, v in r.items() if isinstance(k, str)}
        target = Code(row.get("target_system", ""), row.get("target", ""), row.get("target_display", ""))
        source = row.get("source", "")
        made = TableRow(source, row.get("source_display", ""), row.get("source_system", ""), target, row.get("equivalence", ""), reader.line_num)
        rows.setdefault(source, []).append(made)
    return CodeTable(name, path, {k: tuple(v) for k, v in rows.items()})


def nearest(name: str, known: Mapping[str, object] | list[str] | frozenset[str]) -> str:
    """`, 最接近的是 …` for a message, or nothing when nothing is near."""
    found = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f", 最接近的是 {found[0]}" if found else ""


def _value_sets(terms: Terms, rows: list[dict[str, str]]) -> None:
    sets: dict[str, list[Code]] = {}
    for r in rows:
        sets.setdefault(r["value_set"], []).append(Code(r["system"], r["code"], r["display"]))
    terms.value_sets = {k: tuple(v) for k, v in sets.items()}


def _identifier(row: dict[str, str]) -> IdentifierSystem:
    accepts = tuple((row.get("accepts") or "").split())
    return IdentifierSystem(row["name"], row["system"], row.get("type_code") or "", row.get("strong") == "yes", accepts)


def _item(row: dict[str, str]) -> Item:
    limits = [
        Decimal(v) if (v := (row.get(c) or "").strip()) else None for c in ("possible_low", "possible_high", "alarm_low", "alarm_high", "molar_mass")
    ]
    return Item(row["loinc"], row.get("display") or "", row.get("ucum") or "", limits[0], limits[1], limits[2], limits[3], limits[4])
