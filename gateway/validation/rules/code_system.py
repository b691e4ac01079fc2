"""Code systems: the stated number of concepts, properties defined once and used with their type (https://hl7.org/fhir/R4/codesystem.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, fault, shown
from gateway.validation.profile.compile import Profiles

__all__ = ["rule"]

_CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_STANDARD = {
    "inactive": "boolean",
    "deprecated": "dateTime",
    "deprecationDate": "dateTime",
    "notSelectable": "boolean",
    "parent": "code",
    "child": "code",
}
"""Properties that R4 defines, with their type (https://hl7.org/fhir/R4/codesystem-concept-properties.html)."""


def rule(profiles: Profiles) -> One:
    """Check of a CodeSystem."""
    return lambda resource: list(_faults(resource)) or None


def _faults(resource: dict[str, Any]) -> Iterator[Fault]:
    concepts = list(_concepts(resource.get("concept", ()), ".concept"))
    count = resource.get("count")
    if resource.get("content") == "complete" and type(count) is int and concepts and count != len(concepts):
        yield from fault("wrong-count", f"count 是 {count}, 实有 {len(concepts)} 个概念", ".count")
    yield from _definitions(resource.get("property", ()))
    types = {p.get("code"): p.get("type") for p in resource.get("property", ())}
    for place, concept in concepts:
        for number, used in enumerate(concept.get("property", ())):
            yield from _used(used, types, f"{place}.property[{number}]")


def _concepts(concepts: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, concept in enumerate(concepts):
        yield f"{place}[{number}]", concept
        yield from _concepts(concept.get("concept", ()), f"{place}[{number}].concept")


def _definitions(properties: Any) -> Iterator[Fault]:
    codes: set[str] = set()
    uris: set[str] = set()
    for number, one in enumerate(properties):
        code, uri = one.get("code"), one.get("uri")
        place = f".property[{number}]"
        if code in codes:
            yield from fault("duplicate-property", f"属性 {shown(code)} 已定义过", place)
        if uri is not None and uri in uris:
            yield from fault("duplicate-property", f"属性的 uri {shown(uri)} 已定义过", place)
        codes.add(code)
        uris.add(uri)
        wanted = _STANDARD.get(uri.removeprefix(_CONCEPT_PROPERTIES)) if uri and uri.startswith(_CONCEPT_PROPERTIES) else None
        if wanted is not None and one.get("type") != wanted:
            yield from fault("wrong-type", f"{shown(uri)} 的类型应是 {wanted}, 不是 {one.get('type')}", place)


def _used(used: dict[str, Any], types: dict[Any, Any], place: str) -> list[Fault]:
    name = next((n for n in used if n.startswith("value")), None)
    declared = types.get(used.get("code"))
    if name is None or declared is None:
        return []
    own = name.removeprefix("value")
    if own[0].lower() + own[1:] != declared:
        return fault("wrong-type", f"属性 {shown(used.get('code'))} 的类型应是 {declared}, 这里是 {own}", place)
    return []
