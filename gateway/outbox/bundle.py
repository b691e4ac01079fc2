"""What goes up together to a FHIR server with referential integrity on, and in which order (design/records.md, "Delivery to a FHIR
server"). Pure. Content is the resource's stored bytes; gateway/outbox/references.py changes what has to change in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.fhir.bundle import Entry, delete_entry, put_entry
from gateway.outbox.references import references, rewritten, upstream_id
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

    def sets(self, limit: int) -> list[list[Name]]:
        """Sets of at most `limit` names in the order to send them; deletions come last."""
        living = [n for n, i in self.items.items() if i.content is not None]
        gone = [[n] for n, i in self.items.items() if i.content is None]
        return packed(components(living, self.targets) + gone, limit)

    def body(self, name: Name, base: str) -> bytes | None:
        """The bytes that go up for this name: the stored ones where no reference and no id has to change; None: it is deleted."""
        content, targets = self.items[name].content, self.targets[name]
        if content is None or not (name[1].isdigit() or not targets.isdisjoint(self.absent) or any(id_.isdigit() for _, id_ in targets)):
            return content
        return rewritten(content, self.absent & targets, base)

    def missing(self, name: Name) -> set[Name]:
        """Targets of this name that nobody holds; it is sent again when one of them arrives."""
        return self.targets[name] & self.absent

    def entries(self, names: Sequence[Name], base: str) -> list[Entry]:
        """Bundle entries of one set."""
        return [entry(self.items[name], self.body(name, base)) for name in names]
