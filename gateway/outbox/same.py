"""Whether a server holds what was sent to it: content of both sides, without what a server adds of its own."""

from __future__ import annotations

from typing import Any

from gateway.fhir.json import Resource, canonical
from gateway.outbox.references import LOGICAL, split, upstream_id


def comparable(resource: Resource) -> bytes:
    """Canonical bytes without id and what a server adds (version, times, source of the request, narrative). What went up, as it went up,
    must be compared: references count as they are."""
    kept = {k: v for k, v in resource.items() if k not in ("meta", "text", "id")}
    meta = {k: v for k, v in resource.get("meta", {}).items() if k in ("profile", "tag", "security")}
    return canonical(kept | ({"meta": meta} if meta else {}))


def loosely(resource: Resource) -> bytes:
    """Like `comparable`, with each reference reduced to its business identifier where it has one: a version of ours stays recognisable
    whether its targets were there when it went up or not."""
    return comparable({k: _reduced(v) for k, v in resource.items()})


def _reduced(node: Any) -> Any:
    if isinstance(node, list):
        return [_reduced(x) for x in node]
    if not isinstance(node, dict):
        return node
    if node.keys() & {"reference", "identifier"} and node.keys() <= {"reference", "identifier", "type", "display"}:
        identifier = node.get("identifier")
        if isinstance(identifier, dict) and str(identifier.get("system", "")).endswith(LOGICAL):
            return {"reference": _there(str(identifier.get("value")))}
        if isinstance(identifier, dict):
            return {"identifier": identifier}
        return {"reference": _there(str(node.get("reference")))}
    return {k: _reduced(v) for k, v in node.items()}


def _there(reference: str) -> str:
    """The literal reference as it stands upstream."""
    type_, id_ = split(reference)
    return f"{type_}/{upstream_id(id_)}" if id_ else reference
