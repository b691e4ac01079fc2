"""What goes up together to a FHIR server with referential integrity on, and in which order (design/records.md, "Delivery to a FHIR
server"). Pure. Content is the resource's stored bytes; gateway/outbox/references.py changes what has to change in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.fhir.bundle import Entry, delete_entry, put_entry
from gateway.outbox.references import Rewriter, references, upstream_id
from gateway.store.names import Name


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


def entry(item: Item, content: bytes | None) -> Entry:
    """One Bundle entry: PUT or DELETE, with If-Match on the last known ETag. content: the bytes that go up."""
    url, match = f"{item.type}/{upstream_id(item.id)}", f'W/"{item.etag}"' if item.etag else ""
    return delete_entry(url, match) if content is None else put_entry(url, content, match)


def components(names: Sequence[Name], targets: Mapping[Name, set[Name]]) -> list[list[Name]]:
    """Strongly connected components, targets before what refers to them (Tarjan 1972, iterative): a cycle must stay in one transaction."""
    known = set(names)
    index: dict[Name, int] = {}
    low: dict[Name, int] = {}
    placed: set[Name] = set()
    stack: list[Name] = []
    found: list[list[Name]] = []

    def open_(node: Name) -> list[tuple[Name, Iterator[Name]]]:
        """Begins with a node. One all of whose targets have their place gets its own at once; most do."""
        inside = targets.get(node, set()) & known
        index[node] = low[node] = len(index)
        if inside <= placed:
            placed.add(node)
            found.append([node])
            return []
        stack.append(node)
        return [(node, iter(sorted(inside)))]

    for root in names:
        work = open_(root) if root not in index else []
        while work:
            node, following = work[-1]
            nearer = next(following, None)
            if nearer is not None:
                if nearer not in index:
                    work += open_(nearer)
                elif nearer not in placed:
                    low[node] = min(low[node], index[nearer])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                component = stack[(at := stack.index(node)) :][::-1]
                del stack[at:]
                placed.update(component)
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
        if len(kept) == len(self.items):
            return self if kept == list(self.items) else Closure({n: self.items[n] for n in kept}, self.targets, self.absent, self.busy)
        return Closure({n: self.items[n] for n in kept}, {n: self.targets[n] for n in kept}, self.absent, self.busy)

    def refreshed(self, etags: Mapping[Name, str]) -> Closure:
        """The same set with ETags learnt meanwhile."""
        items = {n: Item(i.type, i.id, i.version, i.content, etags.get(n, i.etag)) for n, i in self.items.items()}
        return Closure(items, self.targets, self.absent, self.busy)

    def sets(self, limit: int) -> list[list[Name]]:
        """Sets of at most `limit` names in the order to send them; deletions come last."""
        living = [n for n, i in self.items.items() if i.content is not None]
        gone = [[n] for n, i in self.items.items() if i.content is None]
        return packed(components(living, self.targets) + gone, limit)

    def body(self, name: Name, rewriter: Rewriter) -> bytes | None:
        """The bytes that go up for this name: the stored ones where no reference and no id has to change; None: it is deleted."""
        content, missing = self.items[name].content, self.missing(name)
        digits = name[1].isdigit() or any(id_.isdigit() for _, id_ in self.targets[name])
        return rewriter.rewritten(content, missing, digits=digits) if content is not None and (missing or digits) else content

    def missing(self, name: Name) -> set[Name]:
        """Targets of this name that nobody holds; it is sent again when one of them arrives."""
        return self.targets[name] & self.absent

    def entries(self, names: Sequence[Name], rewriter: Rewriter) -> list[Entry]:
        """Bundle entries of one set."""
        return [entry(self.items[name], self.body(name, rewriter)) for name in names]
