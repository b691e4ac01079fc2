"""What a rule may ask of the resource that it stands in: what a reference points at (https://hl7.org/fhir/R4/bundle.html#references)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from gateway.validation.fhirpath.items import resource_item
from gateway.validation.fhirpath.scope import Env

__all__ = ["WHOLE", "Whole", "environment", "resolved"]


class Whole:
    """The resource that is validated as a whole (a Bundle, when it is one). named: whether one of its elements has an id."""

    __slots__ = ("_entries", "named", "resource")

    def __init__(self, resource: Any) -> None:
        self.resource: dict[str, Any] = resource if type(resource) is dict else {}
        self.named = False
        self._entries: dict[str, dict[str, Any]] | None = None

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The resources of a Bundle by full URL."""
        if self._entries is None:
            held = self.resource.get("entry") if self.resource.get("resourceType") == "Bundle" else None
            rows = [e for e in held if type(e) is dict and type(e.get("resource")) is dict] if type(held) is list else []
            self._entries = {url: e["resource"] for e in rows if type(url := e.get("fullUrl")) is str}
        return self._entries


WHOLE: ContextVar[Whole] = ContextVar("validated resource")
"""What is being validated; set by whoever begins."""


def environment(resource: dict[str, Any]) -> Env:
    """Variables of FHIRPath inside a resource of the one that is validated."""
    held = resource_item(resource)
    root = WHOLE.get().resource

    def resolve(text: str) -> dict[str, Any] | None:
        return resolved(text, resource)

    return Env(held, resource_item(root) or held, held, resolve=resolve)


def resolved(text: str, resource: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """What a reference points at: a resource contained in `resource` or in the whole, or an entry of the Bundle; None when it is elsewhere."""
    if not text.startswith("#"):
        return WHOLE.get().entries.get(text.partition("/_history/")[0]) if ":" in text else None
    for holder in (resource or {}, WHOLE.get().resource):
        inside = holder.get("contained")
        for one in inside if type(inside) is list else ():
            if type(one) is dict and one.get("id") == text[1:]:
                return one
    return None
