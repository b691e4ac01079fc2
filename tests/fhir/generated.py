"""Valid R4 resources drawn from the element table: any type, any choice, primitives with extensions, contained resources, narratives.

They stand in for example instances: every element, type and code that they use is R4's, the values are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from gateway.fhir.elements import Binding, Element, load
from gateway.fhir.shape import Shape, Slot, resource_shape, type_shape

TYPES = load().resource_types()
DEEPEST = 4
_TEXT = st.text(st.characters(exclude_categories=["C"], include_characters="\n\t\r收缩压\u3000é\U0001f33f<>&\"'"), min_size=1, max_size=12).filter(
    str.strip
)
_WORD = st.from_regex(r"[A-Za-z0-9\-.]{1,12}", fullmatch=True)
_DIV = st.tuples(_WORD, st.sampled_from(["<br/>", "<br></br>", "<p>a <b>b</b> <i>c</i></p>", "&lt;&amp;", "&#160;", "\n", "<div>d</div>"])).map(
    lambda pair: f'<div xmlns="http://www.w3.org/1999/xhtml">{pair[0]}{pair[1]}</div>'
)
PRIMITIVES: Mapping[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "decimal": st.from_regex(r"-?(0|[1-9][0-9]{0,8})\.[0-9]{1,6}", fullmatch=True).map(Decimal) | st.integers(-(10**9), 10**9),
    "string": _TEXT,
    "markdown": _TEXT,
    "code": st.from_regex(r"[a-z0-9]+([ -][a-z0-9]+)?", fullmatch=True),
    "id": _WORD,
    "uri": _WORD.map("urn:x:{}".format),
    "url": _WORD.map("https://example.org/{}".format),
    "canonical": _WORD.map("http://example.org/fhir/{}|1.0".format),
    "oid": st.sampled_from(["urn:oid:1.2.156.112649", "urn:oid:2.16.840.1"]),
    "uuid": st.uuids().map("urn:uuid:{}".format),
    "date": st.sampled_from(["2026", "2026-02", "2026-02-28", "1905-08-23"]),
    "dateTime": st.sampled_from(["2026", "2026-02", "2026-02-28", "2026-02-28T23:59:59+08:00", "2026-02-28T23:59:59.123456Z"]),
    "instant": st.sampled_from(["2026-02-28T23:59:59+08:00", "2026-02-28T23:59:60Z", "2026-02-28T00:00:00.120-03:30"]),
    "time": st.sampled_from(["00:00:00", "23:59:59.9"]),
    "base64Binary": st.sampled_from(["AAAA", "5YyW6aqM", "YQ=="]),
    "xhtml": _DIV,
}


@st.composite
def resources(draw: st.DrawFn, types: st.SearchStrategy[str] | None = None) -> dict[str, Any]:
    """A resource of one of the types (any concrete one by default)."""
    return draw(_resource(draw(st.sampled_from(TYPES) if types is None else types), 0))


@st.composite
def _resource(draw: st.DrawFn, type_: str, depth: int) -> dict[str, Any]:
    shape = resource_shape(type_)
    assert shape is not None
    return {"resourceType": type_} | draw(_filled(shape, depth))


@st.composite
def _filled(draw: st.DrawFn, shape: Shape, depth: int) -> dict[str, Any]:
    """An object with its required elements and some of the others, in R4's order. Never empty."""
    optional = [e for e in shape.elements.values() if not e.min and _wanted(e, depth)]
    count = 4 if depth == 0 else 2 if depth < DEEPEST - 1 else 0
    chosen = draw(st.lists(st.sampled_from(optional), max_size=count, unique=True)) if optional and count else []
    names = {e.name for e in (*chosen, *shape.required())}
    if shape.name == "Extension":
        names = {"url", draw(st.sampled_from(["extension", "value[x]"])) if depth < DEEPEST else "value[x]"} | (names & {"id"})
    elif not names and not shape.resource:
        names = {draw(st.sampled_from([n for n, e in shape.elements.items() if _plain(e)] or ["id"]))}
    made: dict[str, Any] = {}
    for name, element in shape.elements.items():
        if name in names:
            made |= draw(_element(shape, element, depth))
    return made


def _wanted(element: Element, depth: int) -> bool:
    return element.types != ("Resource",) or depth == 0


def _plain(element: Element) -> bool:
    return element.children is None and all(load().types[t].kind == "primitive-type" for t in element.types) and element.name not in ("extension",)


@st.composite
def _element(draw: st.DrawFn, shape: Shape, element: Element, depth: int) -> dict[str, Any]:
    """`{name: value}` of one element, with `_name` now and then when it is a primitive."""
    types = [t for t in element.types or ("BackboneElement",) if depth < DEEPEST or t in PRIMITIVES] or list(element.types)
    slot = shape.slot(element.json_name(draw(st.sampled_from(types))) if element.choice else element.name)
    assert slot is not None
    value = _value(shape, slot, depth)
    if not element.many:
        extra = draw(st.none() | _filled(type_shape("Element"), DEEPEST)) if slot.kind == "primitive" and not slot.attribute and depth < 2 else None
        if extra is None:
            return {slot.name: draw(value)}
        return draw(st.sampled_from([{slot.name: draw(value), f"_{slot.name}": extra}, {f"_{slot.name}": extra}]))
    values = draw(st.lists(value, min_size=max(element.min, 1), max_size=max(element.min, 2)))
    if slot.kind != "primitive" or depth >= 2 or draw(st.booleans()):
        return {slot.name: values}
    extras = [draw(_filled(type_shape("Element"), DEEPEST)), *([None] * (len(values) - 1))]
    lacking: list[Any] = [None, *values[1:]]
    return {slot.name: lacking, f"_{slot.name}": extras} if values[1:] else {f"_{slot.name}": extras}


def _value(shape: Shape, slot: Slot, depth: int) -> st.SearchStrategy[Any]:
    if slot.kind == "resource":
        return st.sampled_from(["Basic", "Patient", "Observation"]).flatmap(lambda t: _resource(t, DEEPEST - 1))
    if slot.element.binding is not None and slot.element.binding.strength == "required":
        bound = _bound(slot.element.binding, slot.type)
        if bound is not None:
            return bound
    if slot.kind == "complex":
        if slot.type == "Reference":
            return _WORD.map(lambda id_: {"reference": f"{_target(slot.element)}/{id_}"})
        return _filled(shape.below(slot), depth + 1)
    return PRIMITIVES[slot.type]


def _target(element: Element) -> str:
    return next((t for t in element.targets if t != "Resource"), "Patient")


def _bound(binding: Binding, type_: str) -> st.SearchStrategy[Any] | None:
    """A code that a required binding allows, as the type wants it."""
    codes = load().codes(binding.valueset)
    if not codes:
        return st.just("text/plain") if type_ == "code" else None
    pairs = st.sampled_from(sorted(codes))
    if type_ == "code":
        return pairs.map(lambda pair: pair[1])
    coding = pairs.map(lambda pair: {"system": pair[0], "code": pair[1]})
    if type_ == "Coding":
        return coding
    return coding.map(lambda c: {"coding": [c]}) if type_ == "CodeableConcept" else None
