"""Transaction Bundles for a FHIR server with referential integrity on (design/records.md, "Delivery to a FHIR server"). Pure.

Content is the resource's stored bytes; it is parsed only where a reference has to be rewritten, so decimals keep the digits they have.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.fhir.json import decode, encode

_REFERENCE = re.compile(rb'"reference"\s*:\s*"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[^"]*)?"')
LOGICAL = "/ids/logical"
"""Ending of the identifier system that keeps a logical reference whose target has no business identifier here."""

PREFIX = "yifang-"
LONGEST = 64  # characters of an id, https://hl7.org/fhir/R4/datatypes.html#id
HEAD = b'{"resourceType":"Bundle","type":"transaction","entry":['

Name = tuple[str, str]
"""(type, id) of a resource."""


@dataclass(frozen=True, slots=True)
class Item:
    """One resource to bring upstream. content None: it was deleted here. etag: the version the server last gave us, "" when unknown."""

    type: str
    id: str
    version: int
    content: bytes | None
    etag: str = ""

    @property
    def name(self) -> Name:
        """(type, id)."""
        return self.type, self.id


def upstream_id(id_: str) -> str:
    """The id a HAPI server accepts: it refuses ids of digits only; there these get a prefix (a digest when that would be too long)."""
    if not id_.isdigit():
        return id_
    return PREFIX + (id_ if len(PREFIX + id_) <= LONGEST else hashlib.sha256(id_.encode()).hexdigest()[:40])


def references(content: bytes) -> set[Name]:
    """Targets of all relative literal references in the resource."""
    return {split(m.decode()) for m in _REFERENCE.findall(content)}


def split(reference: str) -> Name:
    """`Type/id` as (type, id)."""
    type_, _, id_ = reference.partition("/")
    return type_, id_


def rewritten(content: bytes, absent: Iterable[Name], base: str) -> bytes:
    """The resource with references to absent targets turned into `Reference.identifier`, and all-digit target ids into upstream ids.

    A reference that carries its business identifier keeps it; another gets the logical name as an identifier under `base`, so that
    the link is not lost and can be restored when the target arrives.
    """
    gone = set(absent)

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(x) for x in node]
        if not isinstance(node, dict):
            return node
        literal = node.get("reference")
        if isinstance(literal, str) and _literal(literal):
            target = split(literal.partition("/_history/")[0])
            if target in gone:
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


def needs_rewriting(item: Item, targets: set[Name], absent: set[Name]) -> bool:
    """Whether the stored bytes cannot go up as they are."""
    return item.id.isdigit() or bool(targets & absent) or any(id_.isdigit() for _, id_ in targets)


def entry(item: Item, content: bytes | None) -> bytes:
    """One Bundle entry: PUT with If-Match on the last known ETag, or DELETE."""
    url = f"{item.type}/{upstream_id(item.id)}".encode()
    if content is None:
        return b'{"request":{"method":"DELETE","url":"' + url + b'"}}'
    match = b',"ifMatch":"W/\\"' + item.etag.encode() + b'\\""' if item.etag else b""
    return b'{"resource":' + content + b',"request":{"method":"PUT","url":"' + url + b'"' + match + b"}}"


def bundle(entries: Sequence[bytes]) -> bytes:
    """The transaction Bundle of these entries."""
    return HEAD + b",".join(entries) + b"]}"


def components(names: Sequence[Name], targets: Mapping[Name, set[Name]]) -> list[list[Name]]:
    """Strongly connected components, targets before what refers to them (Tarjan 1972, iterative): a cycle must stay in one transaction."""
    known = set(names)
    index: dict[Name, int] = {}
    low: dict[Name, int] = {}
    stack: list[Name] = []
    on_stack: set[Name] = set()
    found: list[list[Name]] = []
    for root in names:
        if root in index:
            continue
        work = [(root, iter(sorted(targets.get(root, set()) & known)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            nearer = next(following, None)
            if nearer is not None:
                if nearer not in index:
                    index[nearer] = low[nearer] = len(index)
                    stack.append(nearer)
                    on_stack.add(nearer)
                    work.append((nearer, iter(sorted(targets.get(nearer, set()) & known))))
                elif nearer in on_stack:
                    low[node] = min(low[node], index[nearer])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                component = []
                while True:
                    member = stack.pop()
                    on_stack.discard(member)
                    component.append(member)
                    if member == node:
                        break
                found.append(component)
    return found


def packed(parts: Sequence[list[Name]], limit: int) -> list[list[Name]]:
    """Components joined into sets of at most `limit` names, order kept, no component split (a larger cycle stands alone)."""
    sets: list[list[Name]] = []
    for part in parts:
        if sets and len(sets[-1]) + len(part) <= limit:
            sets[-1].extend(part)
        else:
            sets.append(list(part))
    return sets


def closure(wanted: Iterable[Item], fetch: Callable[[set[Name]], Mapping[Name, Item | None]], present: Callable[[set[Name]], set[Name]]) -> Closure:
    """The wanted items with everything they refer to that the gateway holds and the server does not have yet.

    fetch: what the gateway holds of these names (deleted ones are left out; None: held, but another worker has its lane now).
    present: which of these names the server has already.
    """
    items = {item.name: item for item in wanted}
    targets = {name: references(item.content) if item.content is not None else set() for name, item in items.items()}
    absent: set[Name] = set()
    busy: set[Name] = set()
    asked = set(items)
    while missing := set().union(*targets.values(), set()) - asked:
        asked |= missing
        missing -= present(missing)
        held = fetch(missing)
        absent |= missing - held.keys()
        for name, item in held.items():
            if item is None:
                busy.add(name)
                continue
            items[name] = item
            targets[name] = references(item.content) if item.content is not None else set()
    absent |= {name for name, item in items.items() if item.content is None}
    return Closure(items, targets, absent, busy)


@dataclass(frozen=True, slots=True)
class Closure:
    """A set to deliver: items by name, the targets each refers to, the targets that nobody holds, those that another worker delivers."""

    items: dict[Name, Item]
    targets: dict[Name, set[Name]]
    absent: set[Name]
    busy: set[Name] = field(default_factory=set)

    def part(self, names: Iterable[Name]) -> Closure:
        """The named items of this set."""
        kept = list(names)
        return Closure({n: self.items[n] for n in kept}, {n: self.targets[n] for n in kept}, self.absent, self.busy)

    def refreshed(self, etags: Mapping[Name, str]) -> Closure:
        """The same set with ETags learnt meanwhile."""
        items = {n: Item(i.type, i.id, i.version, i.content, etags.get(n, i.etag)) for n, i in self.items.items()}
        return Closure(items, self.targets, self.absent, self.busy)

    def awaited(self) -> dict[Name, set[Name]]:
        """Item name -> targets that are absent; the item is sent again when one of them arrives."""
        return {name: targets & self.absent for name, targets in self.targets.items() if targets & self.absent}

    def sets(self, limit: int) -> list[list[Name]]:
        """Sets of at most `limit` names in the order to send them; deletions come last."""
        living = [n for n, i in self.items.items() if i.content is not None]
        gone = [[n] for n, i in self.items.items() if i.content is None]
        return packed(components(living, self.targets) + gone, limit)

    def body(self, name: Name, base: str) -> bytes | None:
        """The bytes that go up for this name; None: it is deleted."""
        content = self.items[name].content
        if content is not None and needs_rewriting(self.items[name], self.targets[name], self.absent):
            return rewritten(content, self.absent, base)
        return content

    def entries(self, names: Sequence[Name], base: str) -> list[bytes]:
        """Bundle entries of one set."""
        return [entry(self.items[name], self.body(name, base)) for name in names]
