"""The CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html), made from what is registered, so that it promises nothing
that no route answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway import __version__
from gateway.fhir.elements import R4
from gateway.fhir.parameters import SearchParameter
from gateway.http.registry import Registry, registry

__all__ = ["DATE", "UNSUPPORTED", "searchable", "statement"]

DATE = "2026-11-22"
"""Publication date of this statement's content (CapabilityStatement.date)."""
UNSUPPORTED = frozenset({"_content", "_text", "_query", "near", "relationship"})
"""R4's search parameters that are not answered; nor are those without an expression."""
COLUMNS = frozenset({"_id", "_lastUpdated"})
DOCUMENTATION = (
    "经接口写入的与从来源系统映射的资源走同一条路(留存原文、事件、检索索引、向上级投递); "
    "检索、历史、Bundle 与各操作可用 Prefer: respond-async 稍后取结果; 支持什么、不支持什么见 docs/api.md"
)
SECURITY = {"cors": False, "description": "Authorization: Bearer <令牌>(`yifang token` 发放); 未配置 [[client]] 时只有本机的 demo 调用方"}


def statement(base: str, root: str, r4: R4) -> bytes:
    """The CapabilityStatement of a deployment, as JSON. base: its canonical base; root: where it answers; r4: with the site's own search
    parameters."""
    known = registry()
    sources = _sources(r4)
    body = {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "version": __version__,
        "name": "Yifang",
        "title": "Yifang 医防网关",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Yifang 医防网关", "version": __version__},
        "implementation": {"description": "Yifang FHIR R4 gateway", "url": root},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": ["application/json-patch+json", "application/merge-patch+json", "application/fhir+json", "application/fhir+xml"],
        "rest": [
            {
                "mode": "server",
                "documentation": DOCUMENTATION,
                "security": SECURITY,
                "resource": [_resource(known, r4, name, sources) for name in sorted(r4.resource_types())],
                "interaction": _codes(known, ("system",)),
                **_operations(known, "system", ""),
            }
        ],
    }
    return orjson.dumps(body)


def searchable(r4: R4, name: str) -> dict[str, SearchParameter]:
    """Search parameters that are answered for a type, by code."""
    return {c: p for c, p in sorted(r4.search(name).items()) if c not in UNSUPPORTED and (p.expression or c in COLUMNS)}


def _codes(known: Registry, levels: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"code": code} for code in dict.fromkeys(i.code for i in known.interactions if i.code and i.level in levels)]


def _operations(known: Registry, level: str, type_: str) -> dict[str, Any]:
    wanted = ("system",) if level == "system" else ("type", "instance")
    found = [o for o in known.operations if set(o.levels) & set(wanted) and (not o.types or type_ in o.types)]
    return {"operation": [{"name": o.name, "definition": o.definition} for o in found]} if found else {}


def _resource(known: Registry, r4: R4, name: str, sources: Mapping[str, list[str]]) -> dict[str, Any]:
    methods = known.routes.get("T", {})
    parameters = searchable(r4, name)
    references = [f"{name}:{c}" for c, p in parameters.items() if p.type == "reference"]
    made: dict[str, Any] = {
        "type": name,
        "interaction": _codes(known, ("instance", "type")),
        "versioning": "versioned-update",
        "readHistory": "T/i/_history/v" in known.routes,
        "updateCreate": "PUT" in known.routes.get("T/i", {}),
        "conditionalCreate": "POST" in methods,
        "conditionalRead": "full-support",
        "conditionalUpdate": "PUT" in methods,
        "conditionalDelete": "single" if "DELETE" in methods else "not-supported",
        "referencePolicy": ["literal", "logical", "local"],
    }
    if references:
        made["searchInclude"] = ["*", *references]
    if sources.get(name):
        made["searchRevInclude"] = sources[name]
    made["searchParam"] = [{"name": c, "type": p.type} | ({"definition": p.url} if p.url else {}) for c, p in parameters.items()]
    return made | _operations(known, "type", name)


def _sources(r4: R4) -> dict[str, list[str]]:
    """Type -> `Source:parameter` of every reference parameter that may point at it."""
    found: dict[str, list[str]] = {}
    for source in sorted(r4.resource_types()):
        for code, p in sorted(r4.search(source).items()):
            if p.type == "reference" and p.expression:
                for target in p.targets:
                    found.setdefault(target, []).append(f"{source}:{code}")
    return found
