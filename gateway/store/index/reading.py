"""What a search expression gives of a resource itself: for what keys do not say (texts, pairs, where references point).

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from gateway.fhir.elements import R4
from gateway.fhir.parameters import branches
from gateway.fhir.path import Extractor
from gateway.fhir.references import parse_reference

__all__ = ["extracted", "pointers"]


@lru_cache(maxsize=4096)
def extracted(r4: R4, type_: str, expression: str) -> Extractor[str]:
    """`(branch, FHIR type, value)` of every value of an expression that starts at this type. Compiled once."""
    return Extractor(r4, type_, [(branch, branch) for branch in branches(expression)])


def pointers(r4: R4, type_: str, expression: str, resource: Mapping[str, Any], base: str) -> Iterator[str]:
    """`Type/id`, or the canonical or absolute URL, of every reference that the expression gives; fragments are left out."""
    for _, _, value in extracted(r4, type_, expression)(resource):
        text = value.get("reference") if isinstance(value, dict) else value
        if isinstance(text, str) and not text.startswith("#"):
            target = parse_reference(text, base)
            yield text.partition("/_history/")[0] if target.base or not target.type else target.local
