"""Where the values of an element stand in an object, with the steps that lead to them (https://hl7.org/fhir/R4/json.html)."""

from __future__ import annotations

from typing import Any

from gateway.fhir.shape import Shape, Slot, resource_shape, type_shape
from gateway.validation.fhirpath.items import Extended, Item, named_slots

__all__ = ["Found", "Place", "Placed", "step"]

Place = tuple[str, int]
"""The step of an element, and the number in its list (-1: no list)."""
Found = list[tuple[Place, Item]]
_Way = tuple[str, str, str, "Shape | str | None"]
"""(JSON name, name of what stands beside a primitive or "", step, kind; None for a resource)."""

_NONE: Found = []


def step(place: Place) -> str:
    """A place as FHIRPath writes it: `.component[0]`."""
    text, number = place
    return f".{text}" if number < 0 else f".{text}[{number}]"


class Placed:
    """Finds the values of an element by its name in a profile: `component`, `value[x]`, `valueQuantity`."""

    __slots__ = ("_ways", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._ways: dict[Shape, tuple[frozenset[str], tuple[_Way, ...]]] = {}

    def __call__(self, item: Item) -> Found:
        """The values below an item, each with its place."""
        value, kind = item
        if isinstance(kind, str) or type(value) is not dict:
            return self._beside(value)
        known = self._ways.get(kind)
        if known is None:
            ways = tuple(_way(kind, slot) for slot in _slots(kind, self.name))
            known = self._ways[kind] = frozenset(n for way in ways for n in way[:2]), ways
        names, ways = known
        if names.isdisjoint(value):
            return _NONE
        found: Found = []
        for name, beside, text, below in ways:
            held = value.get(name)
            if held is None:
                if beside and beside in value:
                    found.append(((text, -1), (None, below or "")))
            elif type(held) is list:
                found += [((text, n), (v, below or _resource(v))) for n, v in enumerate(held)]
            else:
                found.append(((text, -1), (held, below or _resource(held))))
        return found

    def _beside(self, value: Any) -> Found:
        """Extensions of a primitive."""
        if type(value) is not Extended or self.name != "extension":
            return []
        return [(("extension", n), (e, type_shape("Extension"))) for n, e in enumerate(value.extra.get("extension", ()))]


def _slots(kind: Shape, name: str) -> tuple[Slot, ...]:
    own = None if name.endswith("[x]") else kind.slot(name)
    return named_slots(kind, name.removesuffix("[x]")) if own is None else (own,)


def _way(kind: Shape, slot: Slot) -> _Way:
    if slot.kind in ("primitive", "xhtml"):
        return slot.name, f"_{slot.name}", slot.step, slot.type
    return slot.name, "", slot.step, None if slot.kind == "resource" else kind.below(slot)


def _resource(value: Any) -> Shape | str:
    return resource_shape(value.get("resourceType")) or "Resource"
