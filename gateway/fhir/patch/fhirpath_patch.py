"""FHIRPath Patch: operations in a Parameters resource (https://hl7.org/fhir/R4/fhirpatch.html).

add, insert, delete, replace, move, applied in their order to a copy. A path leads to one element; only delete lets it lead to none. An object or
list that a delete leaves empty goes with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.fhir.json import Resource
from gateway.fhir.patch.fault import PatchFault, refused, same_resource
from gateway.fhir.patch.place import Place, locate, parents_and_name
from gateway.fhir.patch.steps import Step, parse_steps
from gateway.fhir.patch.value import Given, fitted, length, put, read_given, slot_for
from gateway.fhir.shape import Slot

__all__ = ["apply_fhirpath_patch"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as it was sent. name, value, index, source, destination: None when it has none."""

    type: str
    path: str
    name: str | None = None
    value: Given | None = None
    index: int | None = None
    source: int | None = None
    destination: int | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The path, parsed."""
        return parse_steps(self.path)


def apply_fhirpath_patch(resource: Resource, parameters: Any) -> Resource:
    """The resource after the operations of a Parameters resource.

    Raises Refused `bad-patch` when it is no FHIRPath Patch, `patch-failed` when an operation cannot be done.
    """
    rows = parameters.get("parameter", []) if type(parameters) is dict and parameters.get("resourceType") == "Parameters" else None
    if type(rows) is not list:
        raise refused(PatchFault("FHIRPath Patch 应是 Parameters 资源", "bad-patch"), 0)
    operations = [_read(row, number) for number, row in enumerate(rows, 1)]
    document = copy.deepcopy(resource)
    for number, operation in enumerate(operations, 1):
        try:
            APPLY[operation.type](document, operation)
        except PatchFault as fault:
            raise refused(fault, number, operation.type, operation.path) from None
    return same_resource(resource, document)


_TYPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "type": ("valueCode", ("valueString",)),
    "path": ("valueString", ()),
    "name": ("valueString", ("valueCode", "valueId")),
    "index": ("valueInteger", ("valueUnsignedInt", "valuePositiveInt")),
    "source": ("valueInteger", ("valueUnsignedInt", "valuePositiveInt")),
    "destination": ("valueInteger", ("valueUnsignedInt", "valuePositiveInt")),
}
NEEDS: dict[str, tuple[str, ...]] = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}
"""What each operation must have."""


def _read(row: Any, number: int) -> Operation:
    """One parameter as an operation. Raises Refused `bad-patch`."""
    try:
        parts = row.get("part") if type(row) is dict and row.get("name") == "operation" else None
        if type(parts) is not list:
            raise PatchFault("应是名为 operation、带 part 的 parameter", "bad-patch")
        found: dict[str, Any] = {}
        for part in parts:
            name = part.get("name") if type(part) is dict else None
            if name not in (*_TYPES, "value") or name in found:
                raise PatchFault(f"part 应是 {'、'.join(_TYPES)} 或 value, 各一个", "bad-patch")
            found[name] = read_given(part) if name == "value" else _simple(part, name)
        if found.get("type") not in NEEDS:
            raise PatchFault(f"type 应是 {'、'.join(NEEDS)}", "bad-patch")
        missing = [n for n in NEEDS[found["type"]] if n not in found]
        if missing:
            raise PatchFault(f"{found['type']} 还要有 {'、'.join(missing)}", "bad-patch")
        operation = Operation(**found)
        parse_steps(operation.path)
        return operation
    except PatchFault as fault:
        raise refused(fault, number) from None


def _simple(part: Json, name: str) -> Any:
    """The text or number of a part."""
    usual, also = _TYPES[name]
    value = next((part[n] for n in (usual, *also) if n in part), None)
    if type(value) is not (int if usual == "valueInteger" else str) or value == "":
        raise PatchFault(f"{name} 应写在 {usual} 里", "bad-patch")
    return value


def _one(document: Resource, operation: Operation) -> Place:
    return _only(locate(document, operation.steps))


def _only(places: list[Place]) -> Place:
    """The one place of a path."""
    if len(places) != 1:
        raise PatchFault("路径在资源里没有对应的元素" if not places else f"路径应只指向一个元素, 这里有 {len(places)} 个; 请加 [n] 或 where(…)")
    return places[0]


def _value(operation: Operation) -> Given:
    if operation.value is None:
        raise PatchFault("没有 value", "bad-patch")
    return operation.value


def _number(value: int | None) -> int:
    if value is None or value < 0:
        raise PatchFault("index、source 和 destination 应是不小于 0 的整数", "bad-patch")
    return value


def add(document: Resource, operation: Operation) -> None:
    """Appends to a list, or sets an element that is not there yet."""
    place, given = _one(document, operation), _value(operation)
    slot = slot_for(place.shape, operation.name or "", given)
    value, beside = fitted(place.shape, slot, copy.deepcopy(given))
    present = [n for n in _alternatives(place, slot) if place.inside is not None and (n in place.inside or f"_{n}" in place.inside)]
    if present and not slot.many:
        raise PatchFault(f"{slot.element.path} 已有值; 请用 replace")
    holder = place.opened()
    put(holder, slot, length(holder, slot) if slot.many else None, value, beside)


def _alternatives(place: Place, slot: Slot) -> list[str]:
    """The names that exclude each other: all of a choice."""
    return [slot.element.json_name(t) for t in slot.element.types] if slot.element.choice else [slot.name]


def _list(document: Resource, operation: Operation) -> tuple[Place, str]:
    """The place that holds the list of a path, and its name."""
    parents, name = parents_and_name(document, operation.steps)
    return _only(parents), name


def insert(document: Resource, operation: Operation) -> None:
    """Inserts into a list before `index`; at its length it appends."""
    place, name = _list(document, operation)
    given = _value(operation)
    slot = slot_for(place.shape, name, given)
    if not slot.many:
        raise PatchFault(f"{slot.element.path} 不是列表; 请用 add 或 replace")
    index, present = _number(operation.index), length(place.inside or {}, slot)
    if index > present:
        raise PatchFault(f"index 是 {index}, 列表只有 {present} 项")
    value, beside = fitted(place.shape, slot, copy.deepcopy(given))
    put(place.opened(), slot, index, value, beside)


def delete(document: Resource, operation: Operation) -> None:
    """Deletes the element, if it is there, and what it leaves empty above it."""
    places = locate(document, operation.steps)
    if not places:
        return
    place: Place | None = _only(places)
    if place is not None and place.slot is None:
        raise PatchFault("不能删除整个资源; 请用 DELETE")
    while place is not None and place.slot is not None:
        _remove(place.holder, place.slot, place.index)
        place = place.parent
        if place is None or place.inside or place.slot is None or (place.slot.kind == "primitive" and place.value is not None):
            break
    if place is not None and place.slot is not None and place.slot.kind == "primitive" and not place.inside:
        _without_extra(place.holder, place.slot, place.index)


def _remove(holder: Json, slot: Slot, index: int | None) -> None:
    """Takes an element out; a list that is empty then goes too."""
    for name in (slot.name, f"_{slot.name}"):
        if index is None:
            holder.pop(name, None)
        elif name in holder:
            del holder[name][index : index + 1]
    _tidy(holder, slot)


def _without_extra(holder: Json, slot: Slot, index: int | None) -> None:
    """Takes away what stands beside a primitive."""
    beside = f"_{slot.name}"
    if index is None:
        holder.pop(beside, None)
    elif beside in holder:
        holder[beside][index] = None
    _tidy(holder, slot)


def _tidy(holder: Json, slot: Slot) -> None:
    for name in (slot.name, f"_{slot.name}"):
        if slot.many and name in holder and all(v is None for v in holder[name]):
            del holder[name]


def replace(document: Resource, operation: Operation) -> None:
    """Puts a value, with its own id and extensions, where another one is; a choice may change its type."""
    place, given = _one(document, operation), _value(operation)
    if place.slot is None or place.parent is None:
        raise PatchFault("不能替换整个资源; 请用 PUT")
    above = place.parent.shape
    slot = slot_for(above, place.slot.element.stem, given) if place.slot.element.choice else place.slot
    value, beside = fitted(above, slot, copy.deepcopy(given))
    if place.index is None:
        order = list(place.holder)
        _remove(place.holder, place.slot, None)
        put(place.holder, slot, None, value, beside)
        if slot is place.slot:
            _reorder(place.holder, order)
    else:
        _remove(place.holder, slot, place.index)
        put(place.holder, slot, place.index, value, beside)


def _reorder(holder: Json, order: list[str]) -> None:
    """The names in the order that they had; new ones behind."""
    names = [n for n in order if n in holder] + [n for n in holder if n not in order]
    for name in names:
        holder[name] = holder.pop(name)


def move(document: Resource, operation: Operation) -> None:
    """Moves an element within a list: taken out at `source`, put in at `destination` of what remains."""
    place, name = _list(document, operation)
    slot = place.shape.slot(name)
    if slot is None or not slot.many:
        raise PatchFault(f"{name[:64]} 不是 {place.shape.name} 的列表")
    source, destination, holder = _number(operation.source), _number(operation.destination), place.inside or {}
    present = length(holder, slot)
    if source >= present or destination >= present:
        raise PatchFault(f"source 是 {source}, destination 是 {destination}, 列表只有 {present} 项")
    for own in (slot.name, f"_{slot.name}"):
        if own in holder:
            values = holder[own]
            values.extend([None] * (present - len(values)))
            values.insert(destination, values.pop(source))


APPLY: dict[str, Callable[[Resource, Operation], None]] = {"add": add, "insert": insert, "delete": delete, "replace": replace, "move": move}
