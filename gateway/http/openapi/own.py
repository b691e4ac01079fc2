"""The gateway's routes beside FHIR: health, figures, this document, and messages of sources (docs/api.md)."""

from __future__ import annotations

from typing import Any

__all__ = ["paths"]

Json = dict[str, Any]
RECEIPT: Json = {
    "type": "object",
    "required": ["message", "state", "text", "findings", "records"],
    "properties": {
        "message": {"type": "integer", "description": "number under which it is kept"},
        "state": {"type": "string", "enum": ["mapped", "repeat", "held", "stored", "partly", "failed"]},
        "text": {"type": "string", "description": "the state in words"},
        "findings": {"type": "array", "items": {"type": "object"}},
        "records": {
            "type": "array",
            "items": {"type": "object", "required": ["position", "dataset", "key", "state", "findings", "resources"]},
        },
    },
}


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _error(status: int) -> Json:
    return {"$ref": f"#/components/responses/{status}"}


def _plain(name: str, summary: str, responses: Json) -> Json:
    """A GET that needs no token."""
    return {"get": {"operationId": name, "tags": ["gateway"], "summary": summary, "security": [], "responses": responses}}


def paths(tokens: bool) -> dict[str, Json]:
    """They, as OpenAPI paths. tokens: clients need one."""
    state: Json = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    reasons: Json = state | {"properties": {"status": {"const": "not ready"}, "reasons": {"type": "array", "items": {"type": "string"}}}}
    kinds = {"type": "string", "description": "Resource types, with commas between: each with addresses, search parameters and a schema of its own"}
    described = _plain("openapi", "This document", {"200": _json("OpenAPI 3.1", {"type": "object"}), "400": _error(400)})
    described["get"]["parameters"] = [{"name": "type", "in": "query", "schema": kinds}]
    return {
        "/health": _plain("health", "The process answers", {"200": _json("It does", state)}),
        "/ready": _plain(
            "readiness", "Whether messages can be accepted", {"200": _json("They can", state), "503": _json("They cannot, and why", reasons)}
        ),
        "/metrics": _plain(
            "metrics", "Figures for Prometheus", {"200": {"description": "Figures", "content": {"text/plain": {"schema": {"type": "string"}}}}}
        ),
        "/openapi.json": described,
        "/ingest/{source}": {"post": _ingest(tokens)},
    }


def _ingest(tokens: bool) -> Json:
    kept = {
        str(s): _json(text, RECEIPT) for s, text in ((200, "Written"), (202, "Kept; a person decides"), (207, "Some records wait or were refused"))
    }
    return {
        "operationId": "receive",
        "tags": ["gateway"],
        "summary": "A message for a configured source, in its adapter's own format; answered after the commit",
        "parameters": [
            {"name": "source", "in": "path", "required": True, "description": "Name of a source in yifang.toml", "schema": {"type": "string"}},
            {"name": "X-Message-Name", "in": "header", "description": "What a person finds the message by", "schema": {"type": "string"}},
        ],
        "requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        "responses": kept | {str(s): _error(s) for s in (400, *((401, 403) if tokens else ()), 404, 413, 422, 503)},
    }
