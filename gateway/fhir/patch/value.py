"""The value of a FHIRPath Patch operation, as the place wants it (https://hl7.org/fhir/R4/fhirpatch.html).

It comes as `value[x]`, as a resource, or, where R4 has no name for the type (Patient.contact), as parts that are named like the elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.patch.fault import PatchFault
from gateway.fhir.primitives import JSON_TYPES, TEXT
from gateway.fhir.shape import Shape, Slot, type_shape

__all__ = ["Given", "fitted", "length", "put", "read_given", "slot_for"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was given. type: FHIR type, "Resource", or "" for parts. value: None when a primitive has extensions alone.

    beside: id and extensions of a primitive (`_valueDate`).
    """

    type: str
    value: Any = None
    beside: Json | None = None
    parts: tuple[Json, ...] = ()


def read_given(part: Json) -> Given:
    """What a parameter or part holds. Raises PatchFault `bad-patch` when it holds nothing, or more than one thing."""
    names = sorted({n.removeprefix("_") for n in part if n.removeprefix("_") not in ("name", "id", "extension", "modifierExtension")})
    if len(names) != 1:
        raise PatchFault("value 应正好有 value[x]、resource 或 part 之一", "bad-patch")
    (name,) = names
    if name == "part" and type(part["part"]) is list and all(type(p) is dict for p in part["part"]):
        return Given("", parts=tuple(part["part"]))
    if name == "resource" and type(part[name]) is dict:
        return Given("Resource", part[name])
    slot = _parameter().slot(name)
    if slot is None or not slot.element.choice:
        raise PatchFault(f"value 里的 {name[:64]} 不是 value[x]、resource 或 part", "bad-patch")
    return Given(slot.type, part.get(name), part.get(f"_{name}"))


def _parameter() -> Shape:
    above = type_shape("Parameters")
    slot = above.slot("parameter")
    assert slot is not None
    return above.below(slot)


def slot_for(shape: Shape, name: str, given: Given) -> Slot:
    """The slot that a value of this type takes under a name (`value` with a Quantity: `valueQuantity`). Raises PatchFault."""
    choice = shape.elements.get(f"{name.removesuffix('[x]')}[x]")
    slot = shape.slot(choice.json_name(given.type)) if choice is not None and given.type in choice.types else shape.slot(name)
    if slot is None and choice is not None:
        raise PatchFault(f"{choice.path} 不能是 {given.type or '由 part 组成的值'}; 应是 {'、'.join(choice.types[:12])}")
    if slot is None:
        raise PatchFault(f"{shape.name} 没有元素 {name[:64]}; 请改正名称")
    return slot


def fitted(shape: Shape, slot: Slot, given: Given) -> tuple[Any, Json | None]:
    """Value and what stands beside it, for this slot. Raises PatchFault when the type is wrong for the place."""
    if slot.kind == "complex":
        if not given.type:
            return _built(shape.below(slot), given.parts), None
        if slot.element.children is None and (given.type == slot.type or _quantities(given.type, slot.type)) and type(given.value) is dict:
            return given.value, None
    elif slot.kind == "resource":
        if given.type == "Resource":
            return given.value, None
    elif _primitive(slot, given):
        return given.value, given.beside
    wanted = slot.type if slot.element.children is None else "由 part 组成的值"
    raise PatchFault(f"{slot.element.path} 要 {wanted}, 给的是 {given.type or '由 part 组成的值'}")


def _primitive(slot: Slot, given: Given) -> bool:
    """Whether a primitive of another name may stand here, as a string where a code stands: JSON writes both alike."""
    if not given.type or load().types[given.type].kind != "primitive-type" or (slot.attribute and given.beside is not None):
        return False
    return given.beside is not None if given.value is None else type(given.value) in JSON_TYPES.get(slot.type, TEXT)[0]


def _quantities(given: str, wanted: str) -> bool:
    """Whether both are a Quantity or specialise it (Age, Duration)."""
    types = load()
    return "Quantity" in types.ancestors(given) and "Quantity" in types.ancestors(wanted)


def _built(shape: Shape, parts: tuple[Json, ...]) -> Json:
    """An object from parts that are named like its elements; a name that comes again fills a list."""
    made: Json = {}
    for part in parts:
        name = part.get("name")
        if type(name) is not str:
            raise PatchFault("part 要有 name", "bad-patch")
        given = read_given(part)
        slot = slot_for(shape, name, given)
        value, beside = fitted(shape, slot, given)
        if slot.many:
            put(made, slot, length(made, slot), value, beside)
        elif slot.name in made or f"_{slot.name}" in made:
            raise PatchFault(f"{slot.element.path} 只能有一个值")
        else:
            put(made, slot, None, value, beside)
    if not made:
        raise PatchFault("value 没有内容", "bad-patch")
    return made


def length(holder: Json, slot: Slot) -> int:
    """Items of a list, those with extensions alone included."""
    return max(len(holder.get(slot.name, ())), len(holder.get(f"_{slot.name}", ())))


def put(holder: Json, slot: Slot, index: int | None, value: Any, beside: Json | None) -> None:
    """Writes a value that is not there yet, in a list before `index`."""
    name, extra = slot.name, f"_{slot.name}"
    if index is None:
        holder |= {n: v for n, v in ((name, value), (extra, beside)) if v is not None}
        return
    present = length(holder, slot)
    for own, item in ((name, value), (extra, beside)):
        if item is not None or own in holder:
            items = holder.setdefault(own, [])
            items.extend([None] * (present - len(items)))
            items.insert(index, item)
