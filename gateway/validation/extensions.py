"""Extensions: known ones stand where they may and hold what their definition says (https://hl7.org/fhir/R4/extensibility.html)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.shape import Shape, Slot
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, Faults, fault, shown
from gateway.validation.definitions import Definitions, ProfileDefinition
from gateway.validation.profile.compile import Profiles
from gateway.validation.scope import environment

__all__ = ["content", "in_resource", "in_slot"]

_RESERVED = "http://hl7.org/fhir/StructureDefinition/"
"""HL7's own definitions of R4, which are all here."""
_ALSO = {f"{_RESERVED}structuredefinition-fhir-type": "ElementDefinition.type"}
"""Where R4 itself uses an extension beside the context that it states."""
Places = frozenset[str]
"""What an element may be called as the context of an extension: its path, its type and what that specialises."""


def in_resource(shape: Shape, definitions: Definitions) -> One:
    """Check of the extensions of a resource as a whole."""
    return _placed(frozenset(load().ancestors(shape.name)) | {"Element"}, definitions)


def in_slot(slot: Slot, definitions: Definitions) -> One:
    """Check of the extensions of a value in its slot; for what stands beside a primitive too."""
    path = slot.element.path
    named = {child.path.rpartition(".")[0] for child in (slot.element.children or {}).values()}  # of a content reference: what it refers to
    return _placed(frozenset({path, path.removesuffix("[x]"), "Element", *named, *load().ancestors(slot.type)}), definitions)


def _placed(places: Places, definitions: Definitions) -> One:
    nested = "Extension" in places

    def check(value: dict[str, Any]) -> Faults:
        faults: list[Fault] = []
        for name in ("extension", "modifierExtension"):
            for number, extension in enumerate(value.get(name, ())):
                for path, code, message, severity in _one(extension, name, places, definitions, nested) or ():
                    faults.append((f".{name}[{number}]{path}", code, message, severity))
        return faults or None

    return lambda value: check(value) if "extension" in value or "modifierExtension" in value else None


def _one(extension: dict[str, Any], name: str, places: Places, definitions: Definitions, nested: bool) -> Faults:
    url = extension.get("url")
    if type(url) is not str:
        return None  # told as a missing element
    if ":" not in url:
        return None if nested else fault("bad-extension", f"扩展的 url {shown(url)} 应是绝对网址", ".url")
    if "|" in url:
        return fault("bad-extension", f"扩展的 url {shown(url)} 不能带版本", ".url")
    definition = definitions.profile(url)
    if definition is None:
        return _unknown(url, name)
    if definition.type != "Extension":
        return fault("bad-extension", f"{url} 不是扩展的定义", ".url")
    if definition.modifier is not (name == "modifierExtension"):
        right = "modifierExtension" if definition.modifier else "extension"
        return fault("bad-extension", f"{url} 应写在 {right} 里")
    if not _allowed(definition, places):
        allowed = "、".join(e for _, e in definition.context)
        return fault("misplaced-extension", f"{url} 不能用在这里; 只能用在 {allowed}")
    return None


def _unknown(url: str, name: str) -> Faults:
    if name == "modifierExtension":
        return [("", "unknown-extension", f"不认识的 modifierExtension {url[:200]}: 它可能改变含义", "drop")]
    return [("", "unknown-extension", f"不认识的扩展 {url[:200]}; 未检查其内容", "note")]


def _allowed(definition: ProfileDefinition, places: Collection[str]) -> bool:
    """Whether one context names the place; a context by FHIRPath, by another extension or by a longer path is taken as met."""
    if not definition.context or _ALSO.get(definition.url) in places:
        return True
    last = {p.rpartition(".")[2] for p in places if "." in p}
    return any(
        kind != "element" or expression in places or (expression.count(".") > 1 and expression.rpartition(".")[2] in last)
        for kind, expression in definition.context
    )


def content(profiles: Profiles) -> One:
    """Check of an extension by its own definition."""

    def check(extension: dict[str, Any]) -> Faults:
        url = extension.get("url")
        judge = profiles.check(url) if type(url) is str and ":" in url else None
        if judge is None:
            return None
        from gateway.fhir.shape import type_shape

        return judge((extension, type_shape("Extension")), environment({}))

    return check
