"""The R4 element table: types, elements, bindings, required codes, search parameters (https://hl7.org/fhir/R4/structuredefinition.html).

Read from `profiles/r4/`, which `tools/build_r4_table.py` makes from HL7's definitions. Everything is built on first use.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.builtin import PROFILES
from gateway.fhir.parameters import SearchParameter, parameters_by_type

__all__ = ["R4", "Binding", "Element", "SearchParameter", "TypeDef", "load"]

Kind = Literal["primitive-type", "complex-type", "resource"]


@dataclass(frozen=True, slots=True)
class Binding:
    """What codes an element may hold. strength: required | extensible (weaker ones are not kept). valueset: URL without version."""

    strength: str
    valueset: str


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One element. name: `value[x]` for a choice. path: `Observation.value[x]`. types: FHIR type names, in the order of R4.

    min, max: cardinality (max None = `*`). targets: resource types that a Reference or canonical may point at (`Resource` = any).
    children: elements of a backbone element, those of the referenced element for a content reference, None for other types
    (look the type up in `R4.types`).
    """

    name: str
    path: str
    types: tuple[str, ...]
    min: int
    max: int | None
    binding: Binding | None = None
    targets: tuple[str, ...] = ()
    modifier: bool = False
    summary: bool = False
    children: dict[str, Element] | None = field(default=None, repr=False)

    @property
    def many(self) -> bool:
        """Whether JSON carries a list."""
        return self.max is None or self.max > 1

    @property
    def choice(self) -> bool:
        """Whether it is `name[x]`: the JSON name ends in one of `types`."""
        return self.name.endswith("[x]")

    @property
    def stem(self) -> str:
        """`value` of `value[x]`; the name itself otherwise."""
        return self.name.removesuffix("[x]")

    def json_name(self, type_: str) -> str:
        """Name in JSON for a value of this type: `valueQuantity`."""
        return self.stem + type_[0].upper() + type_[1:] if self.choice else self.name


@dataclass(frozen=True, slots=True, eq=False)
class TypeDef:
    """A type. base: the type it specialises (`DomainResource`, `Quantity`, `string`), "" at the top. regex: of a primitive's text."""

    name: str
    kind: Kind
    base: str
    abstract: bool
    regex: str
    elements: dict[str, Element] = field(repr=False)


class Types(Mapping[str, TypeDef]):
    """Types by name, each built when it is first asked for."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self._rows = rows
        self._built: dict[str, TypeDef] = {}

    def __getitem__(self, name: str) -> TypeDef:
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = _type(name, self._rows[name])
        return built

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows


class R4:
    """FHIR R4 4.0.1, read from a folder of the built tables. own: a site's search parameters, which lie over those of R4."""

    version = "4.0.1"

    def __init__(self, folder: Path, own: Sequence[SearchParameter] = ()) -> None:
        self._folder = folder
        self.own = tuple(own)
        self.types: Mapping[str, TypeDef] = Types(_read(folder / "types.json.gz"))
        self._codes: dict[str, dict[str, list[str]]] | None = None
        self._sets: dict[str, frozenset[tuple[str, str]] | None] = {}
        self._search: dict[str, list[SearchParameter]] | None = None
        self._by_type: dict[str, dict[str, SearchParameter]] = {}
        self._compartments: dict[str, dict[str, list[str]]] | None = None

    def codes(self, valueset: str) -> frozenset[tuple[str, str]] | None:
        """(system, code) of a value set that some element is bound to as required; None when it cannot be enumerated (MIME types, UCUM)."""
        url = valueset.partition("|")[0]
        if url not in self._sets:
            if self._codes is None:
                self._codes = _read(self._folder / "codes.json.gz")
            rows = self._codes.get(url)
            self._sets[url] = None if rows is None else frozenset((s, c) for s, codes in rows.items() for c in codes)
        return self._sets[url]

    def search(self, type_: str) -> dict[str, SearchParameter]:
        """Search parameters of a resource type by code, those of Resource and DomainResource included.

        An expression holds only the branches that concern the type.
        """
        if type_ not in self._by_type:
            if self._search is None:
                self._search = parameters_by_type(_read(self._folder / "search.json.gz"))
            bases = self.ancestors(type_)
            found = {p.code: p.narrowed(type_, bases) for base in reversed(bases) for p in self._search.get(base, ())}
            self._by_type[type_] = found | {p.code: p.narrowed(type_, bases) for p in self.own if type_ in p.base}
        return self._by_type[type_]

    def compartment(self, type_: str) -> Mapping[str, Sequence[str]]:
        """Members of the compartment of a resource of this type: member type -> search parameters of which one names its owner. Empty for
        a type that has no compartment (https://hl7.org/fhir/R4/compartmentdefinition.html)."""
        if self._compartments is None:
            self._compartments = _read(self._folder / "compartments.json.gz")
        return self._compartments.get(type_, {})

    def extended(self, own: Sequence[SearchParameter]) -> R4:
        """The same tables with a site's own search parameters."""
        return R4(self._folder, own) if own else self

    def ancestors(self, type_: str) -> tuple[str, ...]:
        """The type and what it specialises, nearest first: ("Patient", "DomainResource", "Resource")."""
        names = []
        while type_ in self.types:
            names.append(type_)
            type_ = self.types[type_].base
        return tuple(names)

    def resource_types(self) -> list[str]:
        """Names of the concrete resource types, in order."""
        return [n for n, t in self.types.items() if t.kind == "resource" and not t.abstract]

    def is_resource(self, name: str) -> bool:
        """Whether `name` is a concrete resource type."""
        return name in self.types and self.types[name].kind == "resource" and not self.types[name].abstract

    def element(self, elements: Mapping[str, Element], name: str) -> tuple[Element, str] | None:
        """The element that JSON calls `name`, and the type of its value there: `valueQuantity` -> (value[x], "Quantity").

        A plain element with one type gives that type; a backbone gives `BackboneElement` or `Element`. None when there is none.
        """
        plain = elements.get(name)
        if plain is not None:
            return (plain, plain.types[0] if plain.types else "BackboneElement") if not plain.choice else None
        for cut in (i for i, letter in enumerate(name) if i and letter.isupper()):
            choice = elements.get(name[:cut] + "[x]")
            if choice is not None:
                return next(((choice, t) for t in choice.types if choice.json_name(t) == name), None)
        return None

    def children(self, element: Element, type_: str) -> Mapping[str, Element]:
        """Elements below a value of this element: its own when it is a backbone, else those of `type_`. Empty for a primitive."""
        if element.children is not None:
            return element.children
        definition = self.types[type_]
        return {} if definition.kind == "primitive-type" else definition.elements

    def at(self, path: str) -> Element | None:
        """Element by path: `Observation.component.valueQuantity.value` (choices by their JSON name or as `value[x]`)."""
        type_, *steps = path.split(".")
        if type_ not in self.types:
            return None
        elements: Mapping[str, Element] = self.types[type_].elements
        found: Element | None = None
        for step in steps:
            here = self.element(elements, step)
            if here is None:
                found = elements.get(step)
                elements = {}
            else:
                found, value_type = here
                elements = self.children(found, value_type)
            if found is None:
                return None
        return found


@lru_cache(maxsize=4)
def load(folder: Path = PROFILES / "r4") -> R4:
    """The R4 table of this folder, built once."""
    return R4(folder)


def _read(path: Path) -> Any:
    return msgspec.json.decode(gzip.decompress(path.read_bytes()))


def _type(name: str, row: dict[str, Any]) -> TypeDef:
    """Builds a type; children stand under their backbone, content references share the children of what they name."""
    children: dict[str, dict[str, Element]] = {"": {}}
    rows: dict[str, dict[str, Any]] = row["e"]
    for path in rows:
        parent = path.rpartition(".")[0]
        children.setdefault(parent, {})
    for path, cells in rows.items():
        parent, _, own = path.rpartition(".")
        below = children.get(cells["c"].partition(".")[2]) if "c" in cells else children.get(path)
        types = tuple(cells.get("t", ())) or tuple(rows[cells["c"].partition(".")[2]].get("t", ()))
        maximum = cells.get("m", "1")
        children[parent][own] = Element(
            name=own,
            path=f"{name}.{path}",
            types=types,
            min=cells.get("n", 0),
            max=None if maximum == "*" else int(maximum),
            binding=Binding(*cells["b"]) if "b" in cells else None,
            targets=tuple(cells.get("r", ())),
            modifier="!" in cells,
            summary="s" in cells,
            children=below,
        )
    return TypeDef(name, row["k"], row.get("b", ""), bool(row.get("a")), row.get("x", ""), children[""])
