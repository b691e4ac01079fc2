"""From a method and a path to a handler (https://hl7.org/fhir/R4/http.html#summary)."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.fhir.elements import load
from gateway.http.call import ADDRESS, Call
from gateway.http.problems import Problem
from gateway.http.registry import Handler, Level, registry

__all__ = ["ID", "known_type", "route", "shape_text"]

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id"""
LEVELS: tuple[Level, ...] = ("system", "type", "instance")


@lru_cache(maxsize=512)
def _is_type(name: str) -> bool:
    return load().is_resource(name)


def known_type(name: str) -> None:
    """Problem 404 when R4 has no such resource type."""
    if not _is_type(name):
        raise Problem(404, "not-supported", f"FHIR R4 没有 {name[:64]} 这种资源; 请核对大小写", f"FHIR R4 has no resource type {name[:64]}")


def route(call: Call) -> Handler:
    """The handler, with `type`, `id`, `version` and `operation` of the call filled. Problem 404 or 405 when there is none."""
    path = call.path
    if path and path[-1].startswith("$"):
        return _operation(call)
    shape = call.shape = _shape(call)
    methods = registry().routes.get(shape)
    if methods is None:
        raise Problem(404, "not-found", "没有这个地址; 能力声明见 /fhir/metadata", "No such address; see /fhir/metadata")
    found = methods.get("GET" if call.method == "HEAD" else call.method)
    if found is None:
        raise wrong_method([*methods, *(["HEAD"] if "GET" in methods else [])])
    return found.handle


@lru_cache(maxsize=256)
def shape_text(shape: str) -> str:
    """A pattern as the log tells it: `/fhir/{type}/{id}`; `/fhir/…` for what is no route."""
    words = {"T": "{type}", "i": "{id}", "v": "{version}", "C": "{member}"}
    parts = [words.get(p, p) for p in shape.split("/")]
    known = shape in registry().routes or "$" in shape
    return "/".join(("/fhir", *parts)).rstrip("/") if known else "/fhir/…"


def wrong_method(allowed: list[str]) -> Problem:
    """405, with what is allowed."""
    allow = ", ".join(sorted(allowed))
    return Problem(405, "not-supported", f"此地址不支持该方法, 可用: {allow}", f"Method not allowed here; allowed: {allow}", headers={"Allow": allow})


def _shape(call: Call) -> str:
    """The path as a pattern; notes type, id and version."""
    path = call.path
    if not path or path[0] in ("metadata", "_history", "_search"):
        return "/".join(path)
    if path[0] == ADDRESS:
        call.id = path[1] if len(path) > 1 else ""
        if call.id and not ID.fullmatch(call.id):
            raise _bad_id(call.id)
        return "/".join((ADDRESS, "i", *path[2:])) if call.id else ADDRESS
    call.type = path[0]
    known_type(call.type)
    if len(path) == 1:
        return "T"
    if path[1] in ("_history", "_search"):
        return "/".join(("T", *path[1:]))
    call.id = path[1]
    if not ID.fullmatch(call.id):
        raise _bad_id(call.id)
    if len(path) == 2:
        return "T/i"
    if path[2] == "_history":
        call.version = path[3] if len(path) == 4 else ""
        return "T/i/_history/v" if len(path) == 4 else "/".join(("T/i", *path[2:]))
    if path[2] == "*" or _is_type(path[2]):
        return "/".join(("T/i/C", *path[3:]))
    return "/".join(("T/i", *path[2:]))


def _bad_id(_id: str) -> Problem:
    zh = "资源 id 只能是 1 到 64 个字母、数字、`-` 或 `.`; 请核对地址"
    return Problem(404, "not-found", zh, "An id is 1 to 64 letters, digits, `-` or `.`")


def _operation(call: Call) -> Handler:
    """The handler of `…/$name`."""
    name = call.operation = call.path[-1][1:]
    level = LEVELS[min(len(call.path) - 1, 2)]
    if len(call.path) > 1:
        call.type = call.path[0]
        known_type(call.type)
    if len(call.path) > 2:
        call.id = call.path[1]
        if not ID.fullmatch(call.id):
            raise _bad_id(call.id)
    found = registry().operation(name, level, call.type) if len(call.path) <= 3 else None
    if found is None:
        zh, en = f"没有操作 ${name[:64]}; 可用的见 /fhir/metadata", f"No operation ${name[:64]} here; see /fhir/metadata"
        raise Problem(404, "not-supported", zh, en)
    call.shape = ("", "T/", "T/i/")[len(call.path) - 1] + "$" + found.name
    allowed = ["POST"] if found.affects else ["GET", "HEAD", "POST"]
    if call.method not in allowed:
        raise wrong_method(allowed)
    return found.handle
