"""References inside a Bundle: what a document or message must hold itself (https://hl7.org/fhir/R4/bundle.html#references)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.fhir.structure_values import Fault, fault, shown

__all__ = ["document", "message", "without_url"]

Entries = Sequence[dict[str, Any]]
_REST = re.compile(r"(?P<base>https?://\S+?)/[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_DOCUMENT = ("subject", "encounter", "author", "custodian", "attester.party", "event.detail")
_SECTION = ("author", "focus", "entry")


def references(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(place, literal) of every Reference below a value, contained resources included."""
    if isinstance(value, dict):
        literal = value.get("reference")
        if type(literal) is str:
            yield f"{path}.reference", literal
        for name, inside in value.items():
            if type(inside) is dict or type(inside) is list:
                yield from references(inside, f"{path}.{name}")
    else:
        for number, inside in enumerate(value):
            if type(inside) is dict:
                yield from references(inside, f"{path}[{number}]")


def targets(entries: Entries, literal: str, source: str) -> list[int]:
    """Numbers of the entries that a reference in the entry with the full URL `source` points at."""
    wanted, _, version = literal.partition("/_history/")
    if _RELATIVE.fullmatch(literal):
        base = _REST.match(source)
        if base is None:
            return []
        wanted = f"{base['base']}/{wanted}"
    found = [n for n, e in enumerate(entries) if e.get("fullUrl") in (wanted, literal)]
    if version:
        found = [n for n in found if entries[n].get("resource", {}).get("meta", {}).get("versionId") == version]
    return found


def document(entries: Entries) -> Iterator[Fault]:
    """What the Composition names is in the document, once; every entry is reached from it, or reaches it."""
    if not entries or entries[0].get("resource", {}).get("resourceType") != "Composition":
        yield from fault("missing-element", "document 的第一个 entry 应是 Composition", ".entry")
        return
    composition, source = entries[0]["resource"], entries[0].get("fullUrl", "")
    for path, literal in [*_at(composition, _DOCUMENT, ""), *_sections(composition.get("section", ()), ".section")]:
        yield from _in_bundle(entries, literal, source, f".entry[0].resource{path}")
    reached = _reached(entries)
    for number in range(len(entries)):
        if number not in reached:
            yield from fault("unreachable-entry", "从 Composition 沿引用到不了这个 entry", f".entry[{number}]")


def message(entries: Entries) -> Iterator[Fault]:
    """What the MessageHeader is about is in the message."""
    header = entries[0].get("resource", {}) if entries else {}
    if header.get("resourceType") != "MessageHeader":
        yield from fault("missing-element", "message 的第一个 entry 应是 MessageHeader", ".entry")
        return
    for path, literal in _at(header, ("focus",), ""):
        yield from _in_bundle(entries, literal, entries[0].get("fullUrl", ""), f".entry[0].resource{path}")


def without_url(entries: Entries) -> Iterator[Fault]:
    """A relative reference cannot be read where its entry has no full URL."""
    for number, entry in enumerate(entries):
        if "fullUrl" not in entry and "resource" in entry:
            for path, literal in references(entry["resource"]):
                if _RELATIVE.fullmatch(literal) and ".contained[" not in path:
                    yield from fault("missing-element", "entry 没有 fullUrl, 里面的相对引用无从解释", f".entry[{number}].resource{path}")


def _in_bundle(entries: Entries, literal: str, source: str, place: str) -> list[Fault]:
    if literal.startswith("#"):
        return []
    found = targets(entries, literal, source)
    if not found:
        return fault("unresolved-reference", f"Bundle 里没有 {shown(literal)}", place)
    return fault("unresolved-reference", f"Bundle 里有 {len(found)} 个 {shown(literal)}", place) if len(found) > 1 else []


def _at(holder: dict[str, Any], paths: Sequence[str], place: str) -> Iterator[tuple[str, str]]:
    """References under the given steps of an object."""
    for path in paths:
        first, _, rest = path.partition(".")
        value = holder.get(first)
        for number, item in enumerate(value if type(value) is list else [] if value is None else [value]):
            step = f"{place}.{first}[{number}]" if type(value) is list else f"{place}.{first}"
            if rest:
                yield from _at(item, (rest,), step)
            elif type(item.get("reference")) is str:
                yield step, item["reference"]


def _sections(sections: Entries, place: str) -> Iterator[tuple[str, str]]:
    for number, section in enumerate(sections):
        yield from _at(section, _SECTION, f"{place}[{number}]")
        yield from _sections(section.get("section", ()), f"{place}[{number}].section")


def _reached(entries: Entries) -> set[int]:
    """Numbers of the entries that links join with the first one, in either direction."""
    joined: dict[int, set[int]] = {n: set() for n in range(len(entries))}
    for number, entry in enumerate(entries):
        for _, literal in references(entry.get("resource", {})):
            for target in targets(entries, literal, entry.get("fullUrl", "")):
                joined[number].add(target)
                joined[target].add(number)
    reached, waiting = {0}, [0]
    while waiting:
        new = joined[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached
