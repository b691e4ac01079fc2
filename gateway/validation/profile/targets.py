"""Types that a profile lets a reference point at (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.targetProfile)."""

from __future__ import annotations

from collections.abc import Callable

from gateway.fhir.profiles import SPEC
from gateway.fhir.references import parse_reference
from gateway.fhir.structure_values import Faults, fault
from gateway.validation.definitions import Definitions
from gateway.validation.fhirpath.items import Item
from gateway.validation.fhirpath.scope import Env
from gateway.validation.profile.tree import Node

__all__ = ["reference_targets"]


def reference_targets(node: Node, definitions: Definitions) -> Callable[[Item, Env], Faults] | None:
    """Check of a Reference's type; None when the profile does not narrow it, or names a profile that is not here."""
    urls = [p for t in node.types if t["code"] == "Reference" for p in t.get("targetProfile", ())]
    types = set()
    for url in urls:
        definition = definitions.profile(url)
        if definition is None and not url.startswith(SPEC):
            return None
        types.add(definition.type if definition is not None else url.removeprefix(SPEC).partition("|")[0])
    if not types or "Resource" in types:
        return None

    def check(item: Item, env: Env) -> Faults:
        value = item[0]
        literal = value.get("reference") if type(value) is dict else None
        if not isinstance(literal, str):
            return None
        inside = env.resolve(literal) if literal.startswith(("#", "urn:")) else None
        named = inside.get("resourceType") if inside is not None else parse_reference(literal).type
        if named and named not in types:
            return fault("bad-reference", f"档案只允许引用 {'、'.join(sorted(types))}, 这里是 {named}", ".reference")
        return None

    return check
