"""The OpenAPI document of a deployment: every address that answers, what it takes, and what it answers with.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from inspect import cleandoc
from typing import Any

from gateway import __version__
from gateway.fhir.elements import R4
from gateway.http.call import FHIR_JSON, FHIR_XML
from gateway.http.openapi import asked, own
from gateway.http.openapi.schemas import PATCH, REQUESTS, closed, referred
from gateway.http.openapi.statuses import DESCRIPTIONS, statuses
from gateway.http.registry import Interaction, Operation, registry

__all__ = ["document"]

Json = dict[str, Any]
WORDS = {"i": "{id}", "v": "{version}", "C": "{member}"}
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
BUNDLES = frozenset({"everything", "lastn", "status", "events"})
"""Operations that answer with a Bundle."""
FORM = "application/x-www-form-urlencoded"
ABOUT = """县域医共体的 FHIR R4 网关。`GET` 能读的 FHIR 地址也应答 `HEAD`。错误一律是 OperationOutcome, 中文说明(`Accept-Language: en` 时为英文)。
`GET /openapi.json?type=Patient,Observation` 给出这些类型各自的地址、检索参数与元素。详见 docs/api.md。

A FHIR R4 gateway. What answers `GET` below /fhir answers `HEAD` too. Every error is an OperationOutcome."""
VERSION: Json = {"ETag": {"description": 'The version: `W/"3"`', "schema": {"type": "string"}}}
MOMENT: Json = {"Last-Modified": {"description": "When it was written", "schema": {"type": "string"}}}
PLACE: Json = {"Location": {"description": "The version that was written", "schema": {"type": "string"}}}
LATER: Json = {"Content-Location": {"description": "Where the answer will be", "schema": {"type": "string"}}}


def document(root: str, r4: R4, types: Sequence[str] = (), *, tokens: bool = False) -> Json:
    """The document. root: where the gateway answers, without /fhir. r4: with the site's own search parameters. types: these instead of
    `{type}`, each with its own search parameters and elements. tokens: clients need one."""
    known = registry()
    found = own.paths(tokens)
    calls: list[tuple[str, str, Interaction | Operation]] = [(s, m, i) for s, methods in known.routes.items() for m, i in methods.items()]
    for o in known.operations:
        calls += [({"system": "", "type": "T/", "instance": "T/i/"}[level] + f"${o.name}", m, o) for level in o.levels for m in _methods(o)]
    for shape, method, called in calls:
        for type_ in _types(shape, called, r4, types):
            path = "/".join(("/fhir", *(type_ or "{type}" if p == "T" else WORDS.get(p, p) for p in shape.split("/") if p)))
            found.setdefault(path, {})[method.lower()] = _call(r4, shape, method, called, type_, tokens)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Yifang 医防网关", "version": __version__, "description": ABOUT, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": root}],
        "security": [{"bearer": []}] if tokens else [],
        "paths": found,
        "components": _components(r4, types),
    }


def _methods(o: Operation) -> tuple[str, ...]:
    return ("POST",) if o.affects else ("GET", "POST")


def _types(shape: str, called: Interaction | Operation, r4: R4, types: Sequence[str]) -> Iterable[str]:
    """Types that get an address of their own; "": the type is a part of it, or it has none."""
    if not shape.startswith("T"):
        return ("",)
    if isinstance(called, Operation) and called.types:
        return [t for t in called.types if not types or t in types]
    if "/C" in shape:
        return [t for t in types or r4.resource_types() if r4.compartment(t)]
    return types or ("",)


def _call(r4: R4, shape: str, method: str, called: Interaction | Operation, type_: str, tokens: bool) -> Json:
    """One operation of the document."""
    name = called.handle.__name__
    typed = shape.startswith("T") and not type_
    level = shape.partition("$")[0].count("/") if isinstance(called, Operation) else ""
    made: Json = {
        "operationId": ".".join(str(p) for p in (type_, name, level, method.lower()) if p != ""),
        "tags": [type_ or ("operations" if isinstance(called, Operation) else called.level)],
        "summary": called.summary,
        "description": f"{cleandoc(called.handle.__doc__ or '')}\n\n{called.clause}",
        "parameters": [*_parts(r4, shape, type_), *asked.headers(called, method), *_query(r4, called, method, shape, type_)],
        "responses": dict(_responses(called, method, type_, statuses(called, method, typed=typed, tokens=tokens))),
    }
    if name == "capabilities":
        made["security"] = []
    if method in ("POST", "PUT", "PATCH"):
        made["requestBody"] = {"required": name in ("create", "update", "conditional_update", "patch", "conditional_patch", "bundle"),
                               "content": _body(called, method, type_)}  # fmt: skip
    return made


def _parts(r4: R4, shape: str, type_: str) -> Iterator[Json]:
    """Parameters of the address."""
    for letter in shape.split("/"):
        if letter == "T" and not type_:
            yield asked.part("type")
        elif letter == "C":
            yield asked.part("member", ["*", *sorted(r4.compartment(type_))])
        elif letter in ("i", "v"):
            yield asked.part(WORDS[letter][1:-1])


def _query(r4: R4, called: Interaction | Operation, method: str, shape: str, type_: str) -> list[Json]:
    """Parameters of the URL; search parameters where they narrow or choose."""
    found = asked.query(called, method)
    searches = called.code.startswith("search") if isinstance(called, Interaction) else called.name == "lastn"
    chooses = isinstance(called, Interaction) and (called.handle.__name__.startswith("conditional") or called.code == "create")
    if (searches and "/C" not in shape) or chooses:
        taken = {ref["$ref"].rpartition("/")[2] for ref in found}
        found += [p for p in asked.criteria(r4, type_) if p["name"] not in taken]
    return found


def _both(schema: Json) -> Json:
    """A resource in either FHIR format."""
    return {FHIR_JSON: {"schema": schema}, FHIR_XML: {"schema": {"type": "string"}}}


def _body(called: Interaction | Operation, method: str, type_: str) -> Json:
    """What may be sent."""
    if isinstance(called, Operation):
        return _both(referred("Parameters"))
    if called.code.startswith("search"):
        return {FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}}
    if method == "PATCH":
        return {JSON_PATCH: {"schema": referred("JsonPatch")}, MERGE_PATCH: {"schema": {"type": "object"}}} | _both(referred("Parameters"))
    if called.handle.__name__ == "bundle":
        return _both(referred("Requests"))
    native = {"*/*": {"schema": {"type": "string", "format": "binary"}}} if type_ == "Binary" else {}
    return _both(referred(type_ or "Resource")) | native


def _responses(called: Interaction | Operation, method: str, type_: str, found: Sequence[int]) -> Iterator[tuple[str, Json]]:
    """Answers by status."""
    name = called.handle.__name__
    for status in found:
        if status >= 400:
            yield str(status), {"$ref": f"#/components/responses/{status}"}
        elif status in (204, 304):
            yield str(status), {"description": DESCRIPTIONS[status], "headers": VERSION}
        elif status == 202:
            yield "202", {"description": DESCRIPTIONS[202]} | ({"headers": LATER} if called.lasting else {})
        else:
            native: Json = {"*/*": {}} if name in ("read", "vread") and type_ in ("", "Binary") else {}
            yield (
                str(status),
                {"description": DESCRIPTIONS[status], "content": _both(_answer(called, method, type_)) | native} | _stamps(called, status),
            )


def _stamps(called: Interaction | Operation, status: int) -> Json:
    """Headers of a resource that is answered."""
    if isinstance(called, Operation) or called.code.startswith(("search", "history", "batch", "transaction")) or called.level == "system":
        return {}
    return {"headers": VERSION | MOMENT | (PLACE if status == 201 else {})}


def _answer(called: Interaction | Operation, method: str, type_: str) -> Json:
    """The resource of a success."""
    if isinstance(called, Operation):
        return referred("Bundle" if called.name in BUNDLES else "Resource")
    if called.handle.__name__ == "capabilities":
        return referred("Resource")
    if called.level == "system" or called.code.startswith(("search", "history")):
        return referred("Bundle")
    own_ = referred(type_ or "Resource")
    return own_ if method == "GET" else {"anyOf": [own_, referred("OperationOutcome")]}  # `Prefer: return=OperationOutcome`


def _components(r4: R4, types: Sequence[str]) -> Json:
    outcome = {"content": _both(referred("OperationOutcome"))}
    return {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "`yifang token`"}},
        "parameters": asked.components(r4),
        "responses": {str(s): {"description": text} | outcome for s, text in DESCRIPTIONS.items() if s >= 400},
        "schemas": closed(r4, [*types, "Bundle", "OperationOutcome", "Parameters"]) | {"JsonPatch": PATCH, "Requests": REQUESTS},
    }
