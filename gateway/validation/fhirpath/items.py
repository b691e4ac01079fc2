"""Items of a FHIRPath collection: plain JSON values, each beside what R4 says it is.

https://hl7.org/fhir/R4/fhirpath.html. An item is (value, kind): kind is the `Shape` of an object, or the name of a primitive type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.shape import Shape, Slot, resource_shape, type_shape

__all__ = ["Extended", "Item", "Items", "children", "descendants", "is_type", "member", "named_slots", "plain", "resource_item"]

Item = tuple[Any, "Shape | str"]
Items = list[Item]


@dataclass(frozen=True, slots=True)
class Extended:
    """A primitive with id or extensions. value: None when there are only those. extra: what stands under `_name`."""

    value: Any
    extra: dict[str, Any]


def plain(value: Any) -> Any:
    """The value of a primitive without what stands beside it."""
    return value.value if type(value) is Extended else value


def resource_item(resource: dict[str, Any]) -> Items:
    """A resource as a collection; empty when R4 does not know its type."""
    shape = resource_shape(resource.get("resourceType"))
    return [] if shape is None else [(resource, shape)]


def member(name: str) -> Callable[[Items], Items]:
    """The step `.name`. A choice is stepped into by its stem."""
    slots: dict[Shape, tuple[Slot, ...]] = {}

    def step(items: Items) -> Items:
        found: Items = []
        for value, kind in items:
            if isinstance(kind, str):
                if type(value) is Extended:
                    found += _beside(value, name)
                continue
            if type(value) is not dict:
                continue
            known = slots.get(kind)
            if known is None:
                known = slots[kind] = named_slots(kind, name)
            for slot in known:
                _take(value, slot, kind, found)
        return found

    return step


def named_slots(shape: Shape, name: str) -> tuple[Slot, ...]:
    """The JSON names that `.name` reads from an object of this shape."""
    element = shape.elements.get(name) or shape.elements.get(f"{name}[x]")
    if element is None:
        return ()
    names = [element.json_name(t) for t in element.types] if element.choice else [name]
    return tuple(slot for n in names if (slot := shape.slot(n)) is not None)


def _take(holder: dict[str, Any], slot: Slot, shape: Shape, found: Items) -> None:
    """Adds what stands under a slot."""
    value = holder.get(slot.name)
    if slot.kind == "primitive" or slot.kind == "xhtml":
        extra = holder.get(f"_{slot.name}")
        if extra is not None:
            found += _extended(value, extra, slot.type)
        elif type(value) is list:
            found += [(v, slot.type) for v in value]
        elif value is not None:
            found.append((value, slot.type))
    elif value is not None:
        if slot.kind == "resource":
            for resource in value if type(value) is list else (value,):
                found += resource_item(resource) if type(resource) is dict else ()
            return
        below = shape.below(slot)
        found += [(v, below) for v in value] if type(value) is list else [(value, below)]


def _extended(value: Any, extra: Any, type_: str) -> Items:
    values = value if type(value) is list else [value]
    extras = extra if type(extra) is list else [extra]
    found: Items = []
    for number in range(max(len(values), len(extras))):
        own = values[number] if number < len(values) else None
        beside = extras[number] if number < len(extras) else None
        if type(beside) is dict:
            found.append((Extended(own, beside), type_))
        elif own is not None:
            found.append((own, type_))
    return found


def _beside(value: Extended, name: str) -> Items:
    """`.extension` and `.id` of a primitive."""
    return member(name)([(value.extra, type_shape("Element"))]) if name in ("extension", "id") else []


def children(items: Items) -> Items:
    """All elements directly below."""
    found: Items = []
    for value, kind in items:
        if type(value) is Extended:
            found += children([(value.extra, type_shape("Element"))])
        elif isinstance(kind, Shape) and type(value) is dict:
            for name in dict.fromkeys(n.removeprefix("_") for n in value):
                slot = kind.slot(name)
                if slot is not None:
                    _take(value, slot, kind, found)
    return found


def descendants(items: Items) -> Iterator[Item]:
    """All elements below, at any depth."""
    for item in children(items):
        yield item
        yield from descendants([item])


_SYSTEM = {
    "Boolean": {"boolean"},
    "String": {"string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid", "base64Binary", "xhtml"},
    "Integer": {"integer", "positiveInt", "unsignedInt"},
    "Decimal": {"decimal"},
    "Date": {"date"},
    "DateTime": {"dateTime", "instant"},
    "Time": {"time"},
}
"""FHIRPath's own types and the primitives that are one of them."""


@lru_cache(maxsize=4096)
def is_type(kind: Shape | str, type_: str) -> bool:
    """Whether something of this kind is of a type, or of one that specialises it."""
    name = type_.removeprefix("System.")
    if name in _SYSTEM and isinstance(kind, str):
        return kind in _SYSTEM[name]
    own = kind if isinstance(kind, str) else kind.name
    if "." in own:
        return name in ("BackboneElement", "Element")
    return name in load().ancestors(own)
