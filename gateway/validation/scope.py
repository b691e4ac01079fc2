"""What a rule may ask of the resource that it stands in: what a reference points at (https://hl7.org/fhir/R4/bundle.html#references)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from gateway.validation.fhirpath.items import resource_item
from gateway.validation.fhirpath.scope import Env

__all__ = ["ROOT", "environment", "resolved"]

ROOT: ContextVar[dict[str, Any] | None] = ContextVar("validated resource", default=None)
"""The resource that is being validated as a whole (a Bundle, when it is one)."""


def environment(resource: dict[str, Any]) -> Env:
    """Variables of FHIRPath inside a resource of the one that is validated."""
    held = resource_item(resource)
    root = ROOT.get()

    def resolve(text: str) -> dict[str, Any] | None:
        return resolved(text, resource)

    return Env(held, held if root is None else resource_item(root), held, resolve=resolve)


def resolved(text: str, resource: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """What a reference points at: a resource contained in `resource` or in the whole, or an entry of the Bundle; None when it is elsewhere."""
    root = ROOT.get()
    if text.startswith("#"):
        for held in (resource or {}, root or {}):
            inside = held.get("contained")
            for one in inside if type(inside) is list else ():
                if type(one) is dict and one.get("id") == text[1:]:
                    return one
        return None
    if root is None or root.get("resourceType") != "Bundle" or type(root.get("entry")) is not list:
        return None
    plain = text.partition("/_history/")[0]
    for entry in root["entry"]:
        if type(entry) is dict and type(entry.get("resource")) is dict and entry.get("fullUrl") == plain:
            return entry["resource"]  # type: ignore[no-any-return]
    return None
