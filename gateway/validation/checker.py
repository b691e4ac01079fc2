"""The structure check with everything that the definitions say beyond shape (https://hl7.org/fhir/R4/validation.html)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.fhir.shape import Shape, Slot, type_shape
from gateway.fhir.structure import One, Structure
from gateway.fhir.structure_values import Faults, coding_fault
from gateway.validation import extensions, invariants, values
from gateway.validation.definitions import Definitions
from gateway.validation.narrative import strict
from gateway.validation.profile.compile import Profiles
from gateway.validation.references import target_types
from gateway.validation.rules import of_resource
from gateway.validation.rules.ids import noted

__all__ = ["Checker"]


class Checker(Structure):
    """Compiled checks by R4's definitions and the profiles that are known."""

    def __init__(self, definitions: Definitions) -> None:
        super().__init__()
        self.definitions = definitions
        self.profiles = Profiles(definitions)

    def object_rules(self, shape: Shape) -> Sequence[One]:
        rules = invariants.checks(shape, self.definitions.invariants(shape.name))
        if shape.resource:
            rules = [*self._inherited(shape), *rules, extensions.in_resource(shape, self.definitions), *of_resource(shape, self.profiles)]
        elif shape.name == "Extension":
            rules = [*rules, extensions.content(self.profiles)]
        return rules

    def _inherited(self, shape: Shape) -> list[One]:
        """Invariants of DomainResource and Resource."""
        return invariants.checks(shape, self.definitions.invariants("DomainResource") if "text" in shape.elements else ())

    def value_rules(self, slot: Slot) -> Sequence[One]:
        found: list[One | None] = [target_types(slot.element) if slot.type == "Reference" else coding_fault(slot.element)]
        by_type = {
            "Coding": values.coding(self.definitions.code_known),
            "CodeableConcept": values.concept(self.definitions.code_known),
            "Quantity": values.quantity(self.definitions.code_known),
            "Attachment": values.attachment,
            "Identifier": values.identifier,
        }
        found.append(by_type.get(slot.type))
        found.append(extensions.in_slot(slot, self.definitions))
        if slot.element.children is None:  # those of a backbone element are judged with its shape
            found += invariants.checks(type_shape(slot.type), self.definitions.invariants(slot.element.path))
        return [rule for rule in found if rule is not None]

    def primitive_rules(self, slot: Slot) -> Sequence[One]:
        by_type: dict[str, One] = {"string": values.string, "canonical": values.canonical, "uri": values.uri, "url": values.uri}
        found = [by_type[slot.type]] if slot.type in by_type else []
        if slot.name == "id" and slot.attribute:
            found.append(noted)
        if slot.type == "code" and slot.name == "language" and slot.element.path != "Expression.language":
            found.append(values.language)
        return [*found, *invariants.checks(slot.type, self.definitions.invariants(slot.element.path))]

    def extra_rules(self, slot: Slot) -> Sequence[One]:
        return (extensions.in_slot(slot, self.definitions),)

    def narrative(self, value: Any) -> Faults:
        return strict(value)
