"""Bundles: full URLs, links, search results, and that a document or message holds what it refers to (https://hl7.org/fhir/R4/bundle.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from gateway.fhir.elements import load
from gateway.fhir.structure import One
from gateway.fhir.structure_values import Fault, fault, shown
from gateway.validation.profile.compile import Profiles
from gateway.validation.rules.bundle_references import document, message, without_url

__all__ = ["rule"]

_REST = re.compile(r"(?P<base>https?://\S+?)/(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/\S+)?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_WITHOUT_URL = frozenset({"transaction", "transaction-response", "batch", "batch-response"})
_REQUESTS = frozenset({"batch", "transaction", "history"})
_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})
_ONCE = ("self", "first", "previous", "prev", "next", "last")


def rule(profiles: Profiles) -> One:
    """Check of a Bundle."""
    return lambda bundle: list(_faults(bundle)) or None


def _faults(bundle: dict[str, Any]) -> Iterator[Fault]:
    type_ = bundle.get("type", "")
    yield from _links(bundle.get("link", ()))
    entries = bundle.get("entry", ())
    yield from _exchange(entries, type_)
    for number, entry in enumerate(entries):
        for path, code, text, severity in _full_url(entry, type_):
            yield f".entry[{number}]{path}", code, text, severity
    if type_ == "searchset":
        yield from _search(bundle, entries)
    elif type_ == "document":
        yield from document(entries)
    elif type_ == "message":
        yield from message(entries)
    if type_ in ("transaction", "batch"):
        yield from without_url(entries)


def _exchange(entries: Any, type_: str) -> Iterator[Fault]:
    """Requests and responses stand where the type has them (bdl-3, bdl-4); a resource stands there once (bdl-7)."""
    asked, answered = type_ in _REQUESTS, type_ in _RESPONSES
    if any(("request" in e) is not asked for e in entries):
        yield from fault("broken-invariant", f"不满足 bdl-3: {type_} 的 entry {'都要有' if asked else '不能有'} request")
    if any(("response" in e) is not answered for e in entries):
        yield from fault("broken-invariant", f"不满足 bdl-4: {type_} 的 entry {'都要有' if answered else '不能有'} response")
    if type_ != "history":
        seen = [(e["fullUrl"], e.get("resource", {}).get("meta", {}).get("versionId")) for e in entries if "fullUrl" in e]
        if len(set(seen)) != len(seen):
            yield from fault("broken-invariant", "不满足 bdl-7: fullUrl 在 Bundle 里重复(只有 versionId 不同时可以)")


def _links(links: Any) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, link in enumerate(links):
        relation = link.get("relation")
        if relation in seen and relation in _ONCE:
            yield from fault("duplicate-link", f"relation {shown(relation)} 只能有一个", f".link[{number}]")
        seen.add(relation)


def _full_url(entry: dict[str, Any], type_: str) -> list[Fault]:
    """fullUrl is there, absolute, and agrees with the resource's type and id."""
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if url is None:
        return [] if type_ in _WITHOUT_URL or type_ == "" else fault("missing-element", f"{type_} 的每个 entry 都要有 fullUrl", ".fullUrl")
    if _ABSOLUTE.match(url) is None:
        return fault("bad-full-url", f"fullUrl {shown(url)} 应是绝对网址或 urn:uuid", ".fullUrl")
    rest = _REST.fullmatch(url)
    if rest is None or resource is None or not load().is_resource(rest["type"]):
        return []
    if rest["type"] != resource["resourceType"] or ("id" in resource and rest["id"] != resource["id"]):
        own = f"{resource['resourceType']}/{resource.get('id', '')}"
        return fault("bad-full-url", f"fullUrl {shown(url)} 与资源 {own} 不一致", ".fullUrl")
    return []


def _search(bundle: dict[str, Any], entries: Any) -> Iterator[Fault]:
    """What is found has an id and a type that was searched; an outcome is an OperationOutcome."""
    wanted = _searched(bundle.get("link", ()))
    for number, entry in enumerate(entries):
        resource, mode = entry.get("resource"), entry.get("search", {}).get("mode")
        place = f".entry[{number}].resource"
        if resource is None:
            yield from fault("missing-element", "检索结果的 entry 要有 resource", place)
        elif mode == "outcome":
            if resource["resourceType"] != "OperationOutcome":
                yield from fault("wrong-type", f"mode 是 outcome, 这里应是 OperationOutcome, 不是 {resource['resourceType']}", place)
        elif mode in ("match", "include"):
            if "id" not in resource:
                yield from fault("missing-element", "检索结果的资源要有 id", f"{place}.id")
            if mode == "match" and wanted and resource["resourceType"] not in wanted:
                yield from fault("wrong-type", f"检索的是 {'、'.join(sorted(wanted))}, 这里是 {resource['resourceType']}", place)


def _searched(links: Any) -> frozenset[str]:
    """The types that the self link asks for; empty when it does not tell."""
    for link in links:
        if link.get("relation") == "self" and type(link.get("url")) is str:
            parts = urlsplit(link["url"])
            last = parts.path.rstrip("/").rpartition("/")[2]
            if load().is_resource(last):
                return frozenset({last})
            return frozenset(t for name, value in parse_qsl(parts.query) if name == "_type" for t in value.split(",") if load().is_resource(t))
    return frozenset()
