"""What a ViewDefinition's FHIRPath has beside FHIRPath's own: keys of rows, boundaries, join() of nothing.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#required-additional-functions
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.fhir.references import parse_reference
from gateway.validation.fhirpath.items import Items, plain
from gateway.validation.fhirpath.operators import single
from gateway.validation.fhirpath.scope import Env
from gateway.views.boundary import high_boundary, low_boundary

__all__ = ["OWN", "subject"]


def subject(env: Env) -> str:
    """`Type/id` of the resource that an expression is evaluated on, for messages."""
    resource = env.resource[0][0]
    return f"{resource['resourceType']}/{resource.get('id', '?')}"


def _resource_key(items: Items, env: Env) -> Items:
    """`Type/id`: unique over all types, so that keys of different views can stand in one column."""
    resources = [value for value, _ in items if isinstance(value, dict) and {"resourceType", "id"} <= value.keys()]
    return [(f"{r['resourceType']}/{r['id']}", "string") for r in resources]


def _reference_key(items: Items, env: Env, type_: Items | None = None) -> Items:
    """The key of the resource that a Reference names; none when that has no row here: contained, on another server, known by an identifier."""
    found: Items = []
    for value, _ in items:
        text = plain(value.get("reference")) if isinstance(value, dict) else None
        target = parse_reference(text) if isinstance(text, str) else None
        if target is not None and target.local and not target.base and (type_ is None or target.type == single(type_)):
            found.append((target.local, "string"))
    return found


def _join(items: Items, env: Env, separator: Items | None = None) -> Items:
    """The texts in one, without a separator when none is given; the empty text of nothing (cases `fhirpath: string join` of the suite)."""
    return [((single(separator or []) or "").join(str(plain(value)) for value, _ in items), "string")]


OWN: dict[str, Callable[..., Items]] = {
    "getResourceKey": _resource_key,
    "getReferenceKey": _reference_key,
    "lowBoundary": low_boundary,
    "highBoundary": high_boundary,
    "join": _join,
}
"""Functions whose arguments are evaluated once."""
