"""References in a resource's stored bytes, and how they read at a server that refuses ids of digits and references to nothing. Pure.

Content is the resource's JSON as it is stored. Most of it goes up as it is; a reference that must change is changed in the bytes, so that
decimals keep the digits they have, and the resource is parsed only where the bytes do not have the form that this gateway writes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Set
from functools import lru_cache
from typing import Any

from gateway.fhir.json import decode, encode
from gateway.store.names import Name

__all__ = ["LOGICAL", "Rewriter", "local_id", "references", "split", "upstream_id"]

LOGICAL = "/ids/logical"
"""Ending of the identifier system that keeps a logical reference whose target has no business identifier here."""
PREFIX = "yifang-"
LONGEST = 64  # characters of an id, https://hl7.org/fhir/R4/datatypes.html#id

_LITERAL = rb"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}"
_REFERENCE = re.compile(rb'"reference"\s*:\s*"(' + _LITERAL + rb')(?:/_history/[^"]*)?"')
"""Within a JSON text it matches nothing but a property: quotes inside a string have a backslash before them."""
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = re.compile(rb'\{"reference":"' + _LITERAL + rb'"(,"identifier":\{(?:' + _TEXT + rb'|[^"{}\[\]]++)*+\})?((?:,"display":' + _TEXT + rb")?)\}")
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
    return {_name(literal) for literal in _REFERENCE.findall(content)}


@lru_cache(maxsize=1 << 14)
def _name(literal: bytes) -> Name:
    return split(literal.decode())


class Rewriter:
    """Resources as they go up, of which many refer to the same targets. base: the deployment's canonical base."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._known: dict[Name, tuple[bytes, bytes, bytes, int]] = {}
        """Target -> a whole reference to it, what stands in its place, how every literal of it begins, how often that is in the first."""

    def rewritten(self, content: bytes, absent: Collection[Name], *, digits: bool = False) -> bytes:
        """The resource with references to absent targets turned into `Reference.identifier`, and all-digit ids into upstream ids
        (digits: whether it has any).

        A reference that carries its business identifier keeps it; another gets the logical name as an identifier under `base`, so that
        the link is not lost and can be restored when the target arrives.
        """
        made = None if digits else self._replaced(content, absent)
        return _walked(content, frozenset(absent), self.base) if made is None else made

    def _replaced(self, content: bytes, absent: Collection[Name]) -> bytes | None:
        """The same by replacing whole references in the bytes; None when one of them has another form."""
        made = content
        for target in absent:
            if target not in self._known and not self._learn(content, target):
                return None
            whole, other, literal, times = self._known[target]
            if content.count(literal) != content.count(whole) * times:
                return None
            made = made.replace(whole, other)
        return made

    def _learn(self, content: bytes, target: Name) -> bool:
        """Takes the first reference to the target in this resource as the form of all; False when it is not a plain one."""
        literal = b'"' + "/".join(target).encode()
        at = content.find(b'{"reference":' + literal + b'"')
        found = _PLAIN.match(content, at) if at >= 0 else None
        if found is None:
            return False
        identifier, display = found.groups()
        logical = b',"identifier":' + encode({"system": self.base + LOGICAL, "value": "/".join(target)})
        type_ = b'"type":' + encode(target[0])
        parts = identifier + display + b"," + type_ if identifier else display + b"," + type_ + logical
        self._known[target] = found[0], b"{" + parts[1:] + b"}", literal, found[0].count(literal)
        return True


def _walked(content: bytes, absent: Set[Name], base: str) -> bytes:
    """The same by walking the parsed resource: what the quicker way is held to, and what does the rest."""

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
