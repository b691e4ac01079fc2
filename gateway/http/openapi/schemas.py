"""JSON Schemas of R4's types, from the element table (https://hl7.org/fhir/R4/json.html).

They say what stands in a resource and how it is written. What `gateway/fhir/structure.py` judges beyond that (a mandatory primitive that
may be an extension alone, references, narratives) they leave open, as HL7's own schema does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.fhir.elements import R4, Element

__all__ = ["PATCH", "REQUESTS", "closed", "referred"]

Json = dict[str, Any]
_NUMBERS: Mapping[str, Json] = {
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
}
_FREE = frozenset({"string", "markdown", "xhtml"})
_ADDRESSES = frozenset({"uri", "url", "canonical"})
_BLANK = r" \t\n\r\f\v"
"""R4's expressions are written for ASCII; `\\s` of a JSON Schema is Unicode's."""
_BASE64 = r"[0-9a-zA-Z+/= \t\r\n]+"
"""R4's own takes exponential time in many engines."""
_OPEN: Json = {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}}
"""An extension may hold any type: its schema would bring every type of R4 into each document."""


def referred(name: str) -> Json:
    """A reference to a type's schema."""
    return {"$ref": f"#/components/schemas/{name}"}


PATCH: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}
"""RFC 6902."""
REQUESTS: Json = {
    "type": "object",
    "required": ["resourceType", "type"],
    "properties": {
        "resourceType": {"const": "Bundle"},
        "type": {"type": "string", "enum": ["batch", "transaction"]},
        "entry": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["request"],
                "properties": {
                    "fullUrl": {"type": "string"},
                    "resource": referred("Resource"),
                    "request": {
                        "type": "object",
                        "required": ["method", "url"],
                        "properties": {
                            "method": {"type": "string", "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]},
                            "url": {"type": "string"},
                        }
                        | {key: {"type": "string"} for key in ("ifMatch", "ifNoneMatch", "ifModifiedSince", "ifNoneExist")},
                    },
                },
            },
        },
    },
}
"""https://hl7.org/fhir/R4/http.html#transaction"""


def closed(r4: R4, types: list[str]) -> dict[str, Json]:
    """Schemas of these types and of all that they use, by name. `Resource` is any resource."""
    known = sorted(r4.resource_types())
    resource: Json = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string", "enum": known}}}
    made: dict[str, Json] = {"Resource": resource, "Extension": _OPEN}
    wanted = list(types)
    while wanted:
        name = wanted.pop()
        if name not in made:
            made[name] = _type(r4, name, wanted)
    return dict(sorted(made.items()))


def _type(r4: R4, name: str, wanted: list[str]) -> Json:
    """One type's schema; names of others that it uses are added to `wanted`. A backbone element's name is its path."""
    elements, resource = _elements(r4, name)
    properties: dict[str, Json] = {"resourceType": {"const": name}} if resource else {}
    for element in elements.values():
        for type_ in element.types or ("BackboneElement",):
            own = element.json_name(type_) if element.choice else element.name
            value = _value(r4, element, type_, wanted)
            extended = "$ref" not in value and type_ != "xhtml" and (resource or own != "id")  # a primitive: `_own` stands beside it
            properties[own] = _listed(element, value, gaps=extended)
            if extended:
                wanted.append("Element")
                properties[f"_{own}"] = _listed(element, referred("Element"), gaps=True)
    required = [e.name for e in elements.values() if e.min and not e.choice and not _primitive(r4, e)]
    told = ["resourceType", *required] if resource else required
    return {"type": "object", "properties": properties, "additionalProperties": False} | ({"required": told} if told else {})


def _listed(element: Element, value: Json, *, gaps: bool = False) -> Json:
    """The value, or a list of it. gaps: null stands where its counterpart has something (https://hl7.org/fhir/R4/json.html#primitive)."""
    if not element.many:
        return value
    return {"type": "array", "items": {"anyOf": [value, {"type": "null"}]} if gaps else value}


def _elements(r4: R4, name: str) -> tuple[Mapping[str, Element], bool]:
    """Elements of a type or backbone, and whether it is a resource."""
    if name in r4.types:
        return r4.types[name].elements, r4.types[name].kind == "resource"
    element = r4.at(name)
    assert element is not None and element.children is not None, name
    return element.children, False


def _primitive(r4: R4, element: Element) -> bool:
    return any(t in r4.types and r4.types[t].kind == "primitive-type" for t in element.types)


def _value(r4: R4, element: Element, type_: str, wanted: list[str]) -> Json:
    """The schema of one value."""
    if element.children is not None:
        name = _home(r4, element)
    elif r4.types[type_].kind == "primitive-type":
        return _text(r4, element, type_)
    else:
        name = "Resource" if r4.types[type_].abstract and r4.types[type_].kind == "resource" else type_
    wanted.append(name)
    return referred(name)


def _home(r4: R4, element: Element) -> str:
    """The path at which the children of a backbone stand: of a content reference those of what it names."""
    assert element.children is not None
    return next(iter(element.children.values())).path.rpartition(".")[0]


def _text(r4: R4, element: Element, type_: str) -> Json:
    if type_ in _NUMBERS:
        return dict(_NUMBERS[type_])
    codes = r4.codes(element.binding.valueset) if element.binding is not None and element.binding.strength == "required" else None
    if codes:
        return {"type": "string", "enum": sorted({code for _, code in codes})}
    if type_ in _FREE:
        return {"type": "string", "minLength": 1}
    regex = _BASE64 if type_ == "base64Binary" else r4.types[type_].regex.replace("*", "+") if type_ in _ADDRESSES else r4.types[type_].regex
    for unicode_, ascii_ in ((r"[^\s]", f"[^{_BLANK}]"), (r"\S", f"[^{_BLANK}]"), (r"\s", f"[{_BLANK}]")):
        regex = regex.replace(unicode_, ascii_)
    return {"type": "string", "pattern": f"^(?:{regex})$"}
