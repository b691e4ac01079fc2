"""The names that a type's elements have in JSON and XML, with their order and the type of their value.

https://hl7.org/fhir/R4/formats.html#choice · https://hl7.org/fhir/R4/xml.html · https://hl7.org/fhir/R4/json.html. What reads, writes, checks or
thins out resources compiles itself from these slots, one name at a time, when the name is first met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gateway.fhir.elements import R4, Element, load

__all__ = ["FHIR", "XHTML", "Shape", "Slot", "resource_shape", "type_shape"]

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"
SlotKind = Literal["primitive", "xhtml", "complex", "resource"]


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One name of a type. name: as JSON and XML write it (`valueQuantity`); type: FHIR type of the value; order: of the element in its type.

    attribute: written as an XML attribute (Element.id, Extension.url). step: as FHIRPath writes it (`value.ofType(Quantity)`).
    """

    name: str
    element: Element
    type: str
    order: int
    kind: SlotKind
    attribute: bool

    @property
    def many(self) -> bool:
        """Whether JSON carries a list."""
        return self.element.many

    @property
    def step(self) -> str:
        """The step of a FHIRPath expression, without index."""
        return f"{self.element.stem}.ofType({self.type})" if self.element.choice else self.name


class Shape:
    """The slots of one type or backbone element. name: `Observation`, `Observation.component`, `Quantity`."""

    __slots__ = ("_order", "_r4", "_slots", "elements", "name", "resource")

    def __init__(self, r4: R4, name: str, elements: Mapping[str, Element], resource: bool) -> None:
        self.name = name
        self.elements = elements
        self.resource = resource
        self._r4 = r4
        self._order = {own: number for number, own in enumerate(elements)}
        self._slots: dict[str, Slot] = {}

    def slot(self, name: str) -> Slot | None:
        """The slot that JSON calls `name`; None when R4 has no such element here."""
        try:
            return self._slots[name]
        except KeyError:
            found = self._r4.element(self.elements, name)
        made = None if found is None else self._made(name, *found)
        if made is not None:  # unknown names come from outside: they are not remembered
            self._slots[name] = made
        return made

    def below(self, slot: Slot) -> Shape:
        """The shape of a complex slot's value."""
        if slot.element.children is None:
            return type_shape(slot.type)
        return _backbone(_Below(slot.element.path, slot.element.children))

    def order(self, name: str) -> int:
        """Sort key of a JSON name, `_birthDate` directly after `birthDate`; raises KeyError when there is no such element."""
        slot = self.slot(name.removeprefix("_"))
        if slot is None:
            raise KeyError(name)
        return slot.order * 2 + name.startswith("_")

    def required(self) -> list[Element]:
        """Elements that must be there."""
        return [e for e in self.elements.values() if e.min]

    def _made(self, name: str, element: Element, type_: str) -> Slot:
        attribute = not self.resource and (name == "id" or element.path == "Extension.url")
        return Slot(name, element, type_, self._order[element.name], _kind(self._r4, element, type_), attribute)


def _kind(r4: R4, element: Element, type_: str) -> SlotKind:
    if element.children is not None:
        return "complex"
    definition = r4.types[type_]
    if definition.kind == "primitive-type":
        return "xhtml" if type_ == "xhtml" else "primitive"
    return "resource" if definition.kind == "resource" else "complex"


@lru_cache(maxsize=1024)
def type_shape(type_: str) -> Shape:
    """The shape of a type of R4. Raises KeyError when there is no such type."""
    r4 = load()
    definition = r4.types[type_]
    return Shape(r4, type_, definition.elements, definition.kind == "resource")


@dataclass(frozen=True, slots=True, eq=False)
class _Below:
    """The elements of a backbone element; equal when they are the same dict, which content references share (Questionnaire.item.item)."""

    path: str
    elements: Mapping[str, Element]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Below) and other.elements is self.elements

    def __hash__(self) -> int:
        return id(self.elements)


@lru_cache(maxsize=4096)
def _backbone(below: _Below) -> Shape:
    return Shape(load(), below.path, below.elements, False)


def resource_shape(type_: object) -> Shape | None:
    """The shape of a resource type; None when the name is no concrete resource type of R4."""
    return type_shape(type_) if isinstance(type_, str) and load().is_resource(type_) else None
