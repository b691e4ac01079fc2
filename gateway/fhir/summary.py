"""Resources thinned out for `_summary` and `_elements` (https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/search.html#elements).

In a summary stand the elements that R4 marks, and those that are mandatory or modify the meaning where their parent stands; of data types
everything but Attachment.data (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.isSummary). What was thinned out carries
the tag SUBSETTED. The resource that was given is never changed; what stays is shared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from gateway.errors import Finding, Refused
from gateway.fhir.elements import Element
from gateway.fhir.json import Resource
from gateway.fhir.shape import Shape, Slot, resource_shape, type_shape

__all__ = ["MODES", "SUBSETTED", "pick_elements", "summarise", "unknown_elements"]

MODES = ("true", "text", "data", "count", "false")
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_ALWAYS = frozenset({"resourceType", "id", "meta"})
Tree = dict[str, Any]
"""Requested names of a level; below each the names of the next one, empty for everything."""


def summarise(resource: Resource, mode: str) -> Resource:
    """The resource as `_summary` wants it: true | text | data | false.

    Raises Refused `bad-summary` for another word, and for `count`, which leaves no resource and is the search's to answer.
    """
    if mode == "false":
        return resource
    shape = resource_shape(resource.get("resourceType"))
    if mode not in MODES or mode == "count" or shape is None:
        words = "true、text、data 或 false" + (" (count 只用于检索)" if mode == "count" else "")
        raise Refused(Finding("bad-summary", "refuse", f"_summary 应是 {words}"))
    if mode == "true":
        return _tagged(_thin(shape)(resource))
    if mode == "data":
        return _tagged({name: value for name, value in resource.items() if name != "text"})
    kept = _mandatory(shape) | {"text"}
    return _tagged({name: value for name, value in resource.items() if name.removeprefix("_") in kept})


def pick_elements(resource: Resource, names: Iterable[str]) -> Resource:
    """The resource with only these elements, the mandatory ones, id and meta.

    names: `name`, `Patient.name`, a choice by its stem or its JSON name (`value`, `valueQuantity`, `value[x]`); beyond R4 also paths into an
    element (`name.family`). Names that concern another type, or that no element has, are left aside (`unknown_elements` tells the latter).
    """
    shape = resource_shape(resource.get("resourceType"))
    if shape is None:
        return resource
    return _tagged(_picked(shape, resource, _tree(shape.name, names)))


def unknown_elements(type_: str, names: Iterable[str]) -> list[str]:
    """Those of the names that no element of the type has, in their order. Names of other types (`Patient.name` for Observation) are not judged."""
    shape = resource_shape(type_)
    return [] if shape is None else [n for n in names if not _exists(shape, _steps(shape.name, n))]


def _tagged(resource: Resource) -> Resource:
    """With SUBSETTED among the tags of meta; in a dict of its own."""
    meta = resource.get("meta", {})
    tags = meta.get("tag", [])
    if any(t.get("code") == SUBSETTED["code"] and t.get("system") == SUBSETTED["system"] for t in tags):
        return resource
    tagged = {**meta, "tag": [*tags, dict(SUBSETTED)]}
    if "meta" in resource:
        return {**resource, "meta": tagged}
    head: Resource = {name: resource[name] for name in ("resourceType", "id") if name in resource}
    return {**head, "meta": tagged, **resource}


Thin = Callable[[dict[str, Any]], dict[str, Any]]


class _Members(dict[str, Any]):
    """What becomes of an element in a summary, by JSON name: False dropped, True kept whole, else a function for each of its values."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __missing__(self, name: str) -> bool | Thin:
        own = name.removeprefix("_")
        slot = self.shape.slot(own)
        made = own in _ALWAYS if slot is None else _fate(self.shape, slot)
        if slot is not None or made:
            self[name] = made
        return made


@lru_cache(maxsize=4096)
def _thin(shape: Shape) -> Thin:
    """Summary of an object of this shape."""
    members = _Members(shape)

    def thin(value: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, inside in value.items():
            fate = members[name]
            if fate is True:
                made[name] = inside
            elif fate:
                thinned = [t for i in inside if (t := fate(i))] if type(inside) is list else fate(inside)
                if thinned:
                    made[name] = thinned
                elif name in _mandatory(shape):  # the whole of it is what a summary leaves out, and it must be there all the same
                    made[name] = inside
        return made

    return thin


def _fate(shape: Shape, slot: Slot) -> bool | Thin:
    """What a summary does with a slot."""
    element = slot.element
    backbone = shape.resource or "." in shape.name
    if backbone and not (element.summary or element.min or element.modifier or slot.name in _ALWAYS):
        return False
    if element.path == "Attachment.data":
        return False
    if slot.kind != "complex" or (element.children is None and not _attached(slot.type)):
        return True
    return _thin(shape.below(slot))


def _attached(type_: str) -> bool:
    """Whether a data type is or has an Attachment."""
    return type_ == "Attachment" or any(e.types == ("Attachment",) for e in type_shape(type_).elements.values())


@lru_cache(maxsize=512)
def _mandatory(shape: Shape) -> frozenset[str]:
    """JSON names that stay whatever is asked for."""
    names = {n for e in shape.required() for n in _json_names(e)}
    return frozenset(names | _ALWAYS if shape.resource else names)


def _json_names(element: Element) -> list[str]:
    return [element.json_name(t) for t in element.types] if element.choice else [element.name]


def _picked(shape: Shape, value: dict[str, Any], tree: Tree) -> dict[str, Any]:
    """The mandatory and the requested elements of an object; what nothing was left of is left out."""
    mandatory = _mandatory(shape)
    made: dict[str, Any] = {}
    for name, inside in value.items():
        own = name.removeprefix("_")
        slot = shape.slot(own)
        below: Tree | None = None if slot is None else tree.get(own, tree.get(slot.element.stem))
        if own in mandatory or below == {}:
            made[name] = inside
        elif below and slot is not None and slot.kind == "complex":
            inner = shape.below(slot)
            picked = [p for i in inside if (p := _picked(inner, i, below))] if type(inside) is list else _picked(inner, inside, below)
            if picked:
                made[name] = picked
    return made


def _tree(type_: str, names: Iterable[str]) -> Tree:
    """The names as a tree; a name alone wins over paths into it."""
    paths = sorted((steps for n in names if (steps := _steps(type_, n))), key=len)
    tree: Tree = {}
    whole: set[tuple[str, ...]] = set()
    for steps in paths:
        if any(steps[:n] in whole for n in range(1, len(steps))):
            continue
        whole.add(steps)
        level = tree
        for step in steps:
            level = level.setdefault(step, {})
    return tree


def _steps(type_: str, name: str) -> tuple[str, ...]:
    """`Patient.name.family` and `name.family` as steps below the type; none for another type's name."""
    steps = tuple(step.removesuffix("[x]") for step in name.strip().split("."))
    if steps[0] == type_:
        return steps[1:]
    return () if resource_shape(steps[0]) is not None else steps


def _exists(shape: Shape, steps: tuple[str, ...]) -> bool:
    here: list[Shape] = [shape]
    for step in steps:
        slots = [(s, slot) for s in here for slot in _slots(s, step)]
        if not slots:
            return False
        here = [s.below(slot) for s, slot in slots if slot.kind == "complex"]
    return True


def _slots(shape: Shape, step: str) -> list[Slot]:
    """The slots that a name means: one, or all of a choice."""
    choice = shape.elements.get(f"{step}[x]")
    names = _json_names(choice) if choice is not None else [step]
    return [slot for n in names if (slot := shape.slot(n)) is not None]
