"""References in a resource's stored bytes, and how they read at a server that refuses ids of digits and references to nothing. Pure.

Content is the resource's JSON as it is stored. Most of it goes up as it is; a reference that must change is changed in the bytes, so that
decimals keep the digits they have, and the resource is parsed only where the bytes do not have the form that this gateway writes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from typing import Any

from gateway.fhir.json import decode, encode
from gateway.store.names import Name

__all__ = ["LOGICAL", "local_id", "references", "rewritten", "split", "upstream_id"]

LOGICAL = "/ids/logical"
"""Ending of the identifier system that keeps a logical reference whose target has no business identifier here."""
PREFIX = "yifang-"
LONGEST = 64  # characters of an id, https://hl7.org/fhir/R4/datatypes.html#id

_HEAD = re.compile(rb'\{"resourceType":"[A-Za-z]+","id":"([A-Za-z0-9\-.]+)"')
"""How stored content begins."""
_LITERAL = rb"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})"
_REFERENCE = re.compile(rb'"reference"\s*:\s*"' + _LITERAL + rb'(?:/_history/[^"]*)?"')
"""Within a JSON text it matches nothing but a property: quotes inside a string have a backslash before them."""
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = re.compile(
    rb'\{"reference":"' + _LITERAL + rb'"(?:(,"identifier":\{(?:' + _TEXT + rb'|[^"{}\[\]]++)*+\})?)((?:,"display":' + _TEXT + rb")?)\}"
)
"""A whole Reference as this gateway's maps write it: literal, identifier without nested elements, display."""


def upstream_id(id_: str) -> str:
    """The id a HAPI server accepts: it refuses ids of digits only; there these get a prefix (a digest when that would be too long)."""
    if not id_.isdigit():
        return id_
    return PREFIX + (id_ if len(PREFIX + id_) <= LONGEST else hashlib.sha256(id_.encode()).hexdigest()[:40])


def local_id(upstream: str) -> str:
    """The id here of an id there, as far as it can be told (a digest cannot be undone)."""
    digits = upstream.removeprefix(PREFIX)
    return digits if digits.isdigit() else upstream


def split(reference: str) -> Name:
    """`Type/id` as (type, id)."""
    type_, _, id_ = reference.partition("/")
    return type_, id_


def references(content: bytes) -> set[Name]:
    """Targets of all relative literal references in the resource."""
    return {(type_.decode(), id_.decode()) for type_, id_ in set(_REFERENCE.findall(content))}


def rewritten(content: bytes, absent: Set[Name], base: str) -> bytes:
    """The resource with references to absent targets turned into `Reference.identifier`, and all-digit ids into upstream ids.

    A reference that carries its business identifier keeps it; another gets the logical name as an identifier under `base`, so that
    the link is not lost and can be restored when the target arrives.
    """
    return _spliced(content, absent, base) or _walked(content, absent, base)


def _spliced(content: bytes, absent: Set[Name], base: str) -> bytes | None:
    """The same by replacing whole references in the bytes; None when one that must change has another form."""
    head = _HEAD.match(content)
    if head is None:
        return None
    gone = {(type_.encode(), id_.encode()) for type_, id_ in absent}
    due = [target for target in _REFERENCE.findall(content) if target in gone or target[1].isdigit()]
    done = 0

    def replace(match: re.Match[bytes]) -> bytes:
        nonlocal done
        type_, id_, identifier, display = match.groups()
        if (type_, id_) in gone:
            done += 1
            kept = b"{" + (identifier or b"")[1:] + (display if identifier else display[1:])
            return kept + (b'"type":"' if len(kept) == 1 else b',"type":"') + type_ + b'"' + (b"}" if identifier else logical(type_, id_))
        if id_.isdigit():
            done += 1
            return b'{"reference":"' + type_ + b"/" + upstream_id(id_.decode()).encode() + b'"' + (identifier or b"") + display + b"}"
        return match[0]

    def logical(type_: bytes, id_: bytes) -> bytes:
        return b',"identifier":' + encode({"system": base + LOGICAL, "value": f"{type_.decode()}/{id_.decode()}"}) + b"}"

    made = _PLAIN.sub(replace, content) if due else content
    if done < len(due):
        return None
    own = head[1]
    return made if not own.isdigit() else made[: head.start(1)] + upstream_id(own.decode()).encode() + made[head.end(1) :]


def _walked(content: bytes, absent: Set[Name], base: str) -> bytes:
    """The same by walking the parsed resource."""

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(x) for x in node]
        if not isinstance(node, dict):
            return node
        literal = node.get("reference")
        if isinstance(literal, str) and _literal(literal):
            target = split(literal.partition("/_history/")[0])
            if target in absent:
                kept = {k: walk(v) for k, v in node.items() if k != "reference"}
                kept.setdefault("type", target[0])
                kept.setdefault("identifier", {"system": base + LOGICAL, "value": "/".join(target)})
                return kept
            if target[1].isdigit():
                return {k: walk(v) for k, v in node.items()} | {"reference": f"{target[0]}/{upstream_id(target[1])}"}
        return {k: walk(v) for k, v in node.items()}

    resource = walk(decode(content))
    resource["id"] = upstream_id(resource["id"])
    return encode(resource)


def _literal(reference: str) -> bool:
    return _REFERENCE.fullmatch(b'"reference":"' + reference.encode() + b'"') is not None
