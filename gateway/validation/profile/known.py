"""What R4 says already of an element, so that a profile's check holds only what goes beyond (https://hl7.org/fhir/R4/profiling.html#snapshot)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.fhir.elements import Element, load

__all__ = ["Known"]


@dataclass(frozen=True, slots=True)
class Known:
    """An element of R4. element: None for the root of a type and where it is open which one it is. below: the elements of its values."""

    element: Element | None
    below: Mapping[str, Element]

    @classmethod
    def of_type(cls, type_: str) -> Known:
        """The root of a type."""
        r4 = load()
        return cls(None, r4.types[type_].elements if type_ in r4.types else {})

    def child(self, name: str) -> Known:
        """The element of this name below; `value[x]` and `valueQuantity` are both names."""
        found = load().element(self.below, name)
        element = self.below.get(name) if found is None else found[0]
        if element is None:
            return Known(None, {})
        if found is not None and element.choice:  # one type of a choice: how often and which are not R4's
            return Known(None, load().children(element, found[1]))
        single = element.children is not None or len(element.types) == 1
        type_ = element.types[0] if element.types else "BackboneElement"
        return Known(element, load().children(element, type_) if single and type_ in load().types else {})

    def only(self, codes: Sequence[str]) -> bool:
        """Whether R4 allows no other types than these."""
        return self.element is not None and bool(self.element.types) and set(self.element.types) <= set(codes)

    def narrowed(self, said: Mapping[str, Any]) -> tuple[int, int | None]:
        """(minimum, maximum) that a profile asks for beyond R4: 0 and None when it asks for no more."""
        low, high = int(said.get("min", 0)), said.get("max", "*")
        most = None if high == "*" else int(high)
        if self.element is None:
            return low, most
        own = self.element.max
        return (0 if self.element.min >= low else low), (None if most is None or (own is not None and own <= most) else most)
