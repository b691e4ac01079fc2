"""Places in a resource that a path leads to, to be changed where they stand (https://hl7.org/fhir/R4/fhirpatch.html)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.json import Resource
from gateway.fhir.patch.criteria import compile_criteria
from gateway.fhir.patch.fault import PatchFault
from gateway.fhir.patch.steps import Step
from gateway.fhir.shape import Shape, Slot, resource_shape, type_shape

__all__ = ["Place", "locate", "parents_and_name"]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One element. holder: the dict it stands in, under `slot.name` (and `_name`), at `index` when that is a list; parent: the holder's place.

    The resource itself has no slot and no parent, and is its own holder. shape: of what stands below.
    """

    holder: dict[str, Any]
    shape: Shape
    slot: Slot | None = None
    index: int | None = None
    parent: Place | None = None

    @property
    def value(self) -> Any:
        """The value; None for a primitive with extensions alone."""
        if self.slot is None:
            return self.holder
        return _at(self.holder.get(self.slot.name), self.index)

    @property
    def inside(self) -> dict[str, Any] | None:
        """The dict of the elements below: for a primitive what stands under `_name`; None when there is none."""
        if self.slot is not None and self.slot.kind in ("primitive", "xhtml"):
            beside = _at(self.holder.get(f"_{self.slot.name}"), self.index)
            return beside if type(beside) is dict else None
        value = self.value
        return value if type(value) is dict else None

    def opened(self) -> dict[str, Any]:
        """`inside`, made when a primitive has none yet."""
        found = self.inside
        if found is not None:
            return found
        if self.slot is None or self.slot.kind != "primitive" or self.slot.attribute:
            raise PatchFault("路径指向的不是能有下级元素的对象")
        made: dict[str, Any] = {}
        beside = f"_{self.slot.name}"
        if self.index is None:
            self.holder[beside] = made
            return made
        extras = self.holder.setdefault(beside, [])
        extras.extend([None] * (len(self.holder.get(self.slot.name, ())) - len(extras)))
        extras[self.index] = made
        return made

    @property
    def type(self) -> str:
        """FHIR type of the value, `Patient.contact` for a backbone element."""
        return self.slot.type if self.slot is not None and self.slot.kind == "primitive" else self.shape.name


def _at(value: Any, index: int | None) -> Any:
    if index is None:
        return value
    return value[index] if type(value) is list and index < len(value) else None


def locate(resource: Resource, steps: Iterable[Step]) -> list[Place]:
    """The places that a path leads to, in their order. Raises PatchFault when R4 has no such element there."""
    first, *rest = steps
    shape = resource_shape(resource.get("resourceType"))
    if shape is None:
        raise PatchFault("要改的不是 FHIR R4 资源")
    places = [Place(resource, shape)]
    if first.text not in load().ancestors(shape.name):
        rest = [first, *rest]  # `birthDate` alone begins below the resource
    for step in rest:
        places = _advance(places, step)
    return places


def parents_and_name(resource: Resource, steps: tuple[Step, ...]) -> tuple[list[Place], str]:
    """Where a list stands and what it is called, for operations on a whole list. Raises PatchFault when the path does not end in a name."""
    if len(steps) < 2 or steps[-1].kind != "member":
        raise PatchFault("路径应指向一个列表, 以元素名结尾, 例如 Patient.name", "bad-patch")
    return locate(resource, steps[:-1]), steps[-1].text


def _advance(places: list[Place], step: Step) -> list[Place]:
    if step.kind == "member":
        return [below for place in places for below in _members(place, step.text)]
    if step.kind == "index":
        return places[int(step.text) : int(step.text) + 1]
    if step.kind == "first":
        return places[:1]
    if step.kind == "last":
        return places[-1:]
    if step.kind == "single":
        if len(places) > 1:
            raise PatchFault("single() 之前不止一个元素")
        return places
    if step.kind == "type":
        return [p for p in places if p.type == step.text]
    if step.kind == "extension":
        return [p for place in places for p in _members(place, "extension") if p.value.get("url") == step.text]
    criteria = compile_criteria(step.text)
    return [p for p in places if p.value is not None and criteria(p.value, p.type)]


def _members(place: Place, name: str) -> list[Place]:
    """The elements of this name below a place; a choice by its stem."""
    choice = place.shape.elements.get(f"{name}[x]")
    if choice is None and place.shape.slot(name) is None:
        raise PatchFault(f"{place.shape.name} 没有元素 {name[:64]}; 请改正路径")
    inside = place.inside
    if inside is None:
        return []
    names = [choice.json_name(t) for t in choice.types] if choice is not None else [name]
    found: list[Place] = []
    for own in names:
        slot = place.shape.slot(own)
        if slot is not None and (own in inside or f"_{own}" in inside):
            found += _places(place, inside, slot)
    return found


def _places(parent: Place, holder: dict[str, Any], slot: Slot) -> list[Place]:
    if not slot.many:
        return [Place(holder, _shape(parent.shape, slot, holder.get(slot.name)), slot, None, parent)]
    values = holder.get(slot.name, ())
    length = max(len(values), len(holder.get(f"_{slot.name}", ())))
    return [Place(holder, _shape(parent.shape, slot, _at(values, n)), slot, n, parent) for n in range(length)]


def _shape(above: Shape, slot: Slot, value: Any) -> Shape:
    if slot.kind == "complex":
        return above.below(slot)
    if slot.kind == "resource":
        inner = resource_shape(value.get("resourceType")) if type(value) is dict else None
        return inner or type_shape("Resource")
    return type_shape("Element")
