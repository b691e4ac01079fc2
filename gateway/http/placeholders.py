"""Placeholders of a Bundle: what its entries call each other becomes references to resources
(https://hl7.org/fhir/R4/http.html#transaction, "replace all links")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["conditional_references", "rewritten"]

URIS = frozenset({"url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid", "valueCanonical"})
"""Elements that hold a URI, beside Reference.reference; a placeholder in a plain string (Identifier.value) is a value."""
_LINK = re.compile(r'((?:href|src)\s*=\s*["\'])(urn:(?:uuid|oid):[^"\']+)')
_CONDITION = re.compile(r"([A-Z][A-Za-z]+)\?(.+)", re.DOTALL)


def rewritten(value: Any, named: Callable[[str], str]) -> Any:
    """The value with its references as `named` gives them: `Type/id` of a placeholder, and what is none as it is. What does not change is
    shared with the original."""
    if isinstance(value, dict):
        changed = {k: v for k, v in ((k, _member(k, v, named)) for k, v in value.items()) if v is not value[k]}
        return {**value, **changed} if changed else value
    if isinstance(value, list):
        made = [rewritten(v, named) for v in value]
        return made if any(a is not b for a, b in zip(made, value, strict=True)) else value
    return value


def _member(key: str, value: Any, named: Callable[[str], str]) -> Any:
    if not isinstance(value, str):
        return rewritten(value, named)
    if key == "reference" or (key in URIS and value.startswith("urn:")):
        return named(value)
    if key == "div" and "urn:" in value:
        return _LINK.sub(lambda found: found[1] + named(found[2]), value)
    return value


def conditional_references(value: Any) -> Iterator[tuple[str, str, str]]:
    """(text, type, criteria) of references that are searches: `Patient?identifier=a|b`."""
    if isinstance(value, dict):
        text = value.get("reference")
        found = _CONDITION.fullmatch(text) if isinstance(text, str) and "?" in text else None
        if found is not None:
            yield found[0], found[1], found[2]
        for inner in value.values():
            if isinstance(inner, (dict, list)):
                yield from conditional_references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from conditional_references(inner)
