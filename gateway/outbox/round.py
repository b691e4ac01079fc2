"""One round of delivery: what some lanes owe one destination goes up in as few transactions as it can, whatever the server answers.

A set that fails as a whole is taken apart (lanes, then components) until the culprit stands alone; only what refers to it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.errors import TerminalError, TransientError
from gateway.fhir.json import Resource, canonical, decode
from gateway.outbox.bundle import LOGICAL, Closure, Item, Name, bundle, closure, upstream_id
from gateway.outbox.state import State
from gateway.upstream import Accepted, FhirServer, MissingTargets, Paused, Rejected, Reply, Retry, VersionConflict


@dataclass(frozen=True, slots=True)
class Held:
    """What the gateway holds of a resource and what the destination has of it. content None: deleted here. sent 0: never delivered."""

    version: int
    content: bytes | None
    sent: int
    etag: str


@dataclass(frozen=True, slots=True)
class SentItem:
    """A resource that the server has now, at our version, under its ETag."""

    name: Name
    version: int
    etag: str


@dataclass(frozen=True, slots=True)
class Ports:
    """What a round needs of the store: held(names) -> those it holds; versions(name) -> bodies of all our versions, newest first."""

    held: Callable[[set[Name]], Mapping[Name, Held]]
    versions: Callable[[Name], Iterable[Resource]]


@dataclass(slots=True)
class Result:
    """Outcome of a round. stop: a reply that ends it (Retry or Paused); what was sent before it stays sent."""

    sent: dict[Name, SentItem] = field(default_factory=dict)
    refused: dict[Name, str] = field(default_factory=dict)
    stop: Retry | Paused | None = None


class Round:
    """Delivers a set of resources to one server."""

    def __init__(self, server: FhirServer, state: State, ports: Ports, base: str, now: Callable[[], datetime], limit: int) -> None:
        self.server = server
        self.state = state
        self.ports = ports
        self.base = base
        self.now = now
        self.limit = limit
        self.result = Result()
        self._lost: set[Name] = set()  # the server does not have them although it once did
        self._blocked: set[Name] = set()  # refused or waiting, and not there in any version
        self._etags: dict[Name, str] = {}  # learnt in this round
        self._again: set[Name] = set()  # to be sent although the server has the newest version: a target arrived

    def run(self, wanted: set[Name]) -> Result:
        """Sends the newest versions of these resources and whatever they need or wake."""
        pending = wanted
        while pending and self.result.stop is None:
            done_before = set(self.result.sent)
            self._deliver(pending)
            arrived = set(self.result.sent) - done_before
            pending = self.state.waiting_for(arrived) - set(self.result.refused) if arrived and self.state.any_waits() else set()
            self._again |= pending
        return self.result

    def _held(self, names: set[Name]) -> dict[Name, Held]:
        found = {}
        for name, held in self.ports.held(names).items():
            etag = self._etags.get(name, held.etag)
            just = self.result.sent.get(name)
            sent = just.version if just is not None else 0 if name in self._lost else held.sent
            found[name] = Held(held.version, held.content, sent, "" if name in self._lost and just is None else etag)
        return found

    def _present(self, names: set[Name]) -> set[Name]:
        return {n for n, h in self._held(names).items() if h.sent > 0}

    def _items(self, names: set[Name]) -> dict[Name, Item]:
        return {n: Item(n[0], n[1], h.version, h.content, h.etag) for n, h in self._held(names).items() if h.content is not None}

    def _deliver(self, names: set[Name]) -> None:
        held = self._held(names)
        owed = {n: h for n, h in held.items() if (h.sent < h.version or n in self._again) and not (h.content is None and h.sent == 0)}
        faults = self.state.faults(owed)
        wanted = [Item(n[0], n[1], h.version, h.content, h.etag) for n, h in owed.items() if faults.get(n) != h.version]
        if wanted:
            whole = closure(wanted, self._items, self._present)
            self._send(self._without_refused(whole))

    def _without_refused(self, whole: Closure) -> Closure:
        """Leaves out what was refused, and what refers to a resource that the server therefore does not have: that waits for a version
        which is accepted (the server may have an older version of a refused resource; then nothing has to wait)."""
        faults = self.state.faults(whole.items)
        refused = {n for n, i in whole.items.items() if faults.get(n) == i.version or n in self.result.refused}
        self._blocked |= refused - self._present(refused)
        left = {n: i for n, i in whole.items.items() if n not in refused}
        waits: dict[Name, set[Name]] = {}
        while found := {n: whole.targets[n] & self._blocked for n in left if whole.targets[n] & self._blocked}:
            waits |= found
            self._blocked |= found.keys() - self._present(set(found))
            left = {n: i for n, i in left.items() if n not in found}
        if waits:
            self.state.wait(waits, sent=False)
        return Closure(left, {n: whole.targets[n] for n in left}, whole.absent)

    def _send(self, whole: Closure) -> None:
        sets = whole.sets(self.limit)
        while sets and self.result.stop is None:
            self._send_set(whole, sets.pop(0))

    def _send_set(self, whole: Closure, names: Sequence[Name]) -> None:
        entries = whole.entries(names, self.base)
        reply = self.server.transaction(bundle(entries), len(entries))
        match reply:
            case Accepted(results):
                awaited = whole.awaited()
                for name, result in zip(names, results, strict=True):
                    self.result.sent[name] = SentItem(name, whole.items[name].version, result.etag)
                self._remember({n: awaited[n] for n in names if n in awaited}, names)
            case Retry() | Paused():
                self.result.stop = reply
            case _:
                self._mend(whole, names, reply)

    def _remember(self, awaited: Mapping[Name, set[Name]], names: Sequence[Name]) -> None:
        if awaited:
            self.state.wait(awaited, sent=True)
        if self._again and (whole := [n for n in names if n in self._again and n not in awaited]):
            self.state.settled(whole)
            self._again.difference_update(whole)

    def _mend(self, whole: Closure, names: Sequence[Name], reply: Reply) -> None:
        """The set was refused as a whole: bring targets that the server lacks, look at versions, or take the set apart."""
        if isinstance(reply, MissingTargets) and self._bring(whole, names, reply.targets):
            return
        if isinstance(reply, VersionConflict):
            known = dict(self._etags)
            left = self._compare(whole, names)
            if self.result.stop is None and (left != list(names) or known != self._etags):
                if left:
                    self._send_set(_refreshed(whole, self._etags), left)
                return
        if self.result.stop is not None:
            return
        parts = _part(whole, names).sets(1)
        if len(parts) == 1:
            self._refuse(whole, names, reply)
            return
        half = len(parts) // 2
        for group in (parts[:half], parts[half:]):
            rest = self._without_refused(_part(whole, [n for part in group for n in part]))
            if rest.items and self.result.stop is None:
                self._send_set(rest, [n for part in group for n in part if n in rest.items])

    def _bring(self, whole: Closure, names: Sequence[Name], targets: Sequence[str]) -> bool:
        """The server lacks these targets: sends them when the gateway holds them, else goes without. False when that changes nothing."""
        referred = set().union(*(whole.targets[n] for n in names), set())
        by_upstream = {f"{t}/{upstream_id(i)}": (t, i) for t, i in referred}
        missing = {by_upstream[t] for t in targets if t in by_upstream} - set(names)
        fresh = missing - self._lost - whole.absent
        if not fresh:
            return False
        self._lost |= fresh
        for name in fresh:
            self.result.sent.pop(name, None)
        grown = closure([whole.items[n] for n in names], self._items, self._present)
        self._send(grown)
        return True

    def _compare(self, whole: Closure, names: Sequence[Name]) -> list[Name]:
        """After a 412: which of the names still have to be sent. What the server has of ours (a reply was lost) is success or gives the
        ETag to go on from; what someone else wrote is a conflict that a person decides."""
        left = []
        for name in names:
            item = whole.items[name]
            if not item.etag:
                left.append(name)
                continue
            try:
                there = self.server.read(name[0], upstream_id(name[1]))
            except TransientError as e:
                self.result.stop = Retry(str(e))
                return left
            except TerminalError as e:
                self.result.stop = Paused("read", f"核对版本时目标服务器拒绝读取({e}): 请授予读权限后运行 `yifang deliveries resume`")
                return left
            if there is None:
                self._etags[name] = ""
                left.append(name)
            elif there[0] == item.etag:
                left.append(name)
            else:
                self._judge(name, item, there, left)
        return left

    def _judge(self, name: Name, item: Item, there: tuple[str, bytes], left: list[Name]) -> None:
        theirs = comparable(decode(there[1]))
        for n, ours in enumerate(self.ports.versions(name)):
            if comparable(ours) == theirs:
                if n == 0:
                    self.result.sent[name] = SentItem(name, item.version, there[0])
                else:
                    self._etags[name] = there[0]
                    left.append(name)
                return
        text = f"目标服务器上的 {name[0]}/{name[1]} 被别的系统改写(其版本 {there[0]}), 未覆盖; 请核对双方内容, 再运行 `yifang deliveries resume`"
        self.result.refused[name] = text
        self.state.record_fault(name, item.version, "conflict", text, self.now())

    def _refuse(self, whole: Closure, names: Sequence[Name], reply: Reply) -> None:
        """One component stands alone and is refused: it is kept with the server's words; the rest goes on."""
        text = reply.diagnostics if isinstance(reply, Rejected) else type(reply).__name__
        for name in names:
            self.result.refused[name] = text
            self.state.record_fault(name, whole.items[name].version, "refused", text, self.now())


def comparable(resource: Resource) -> bytes:
    """Canonical bytes without what a server adds of its own (version, time, source of the request, narrative, id), with references
    reduced to the business identifier where they have one: what went up before its target arrived is still the same content."""
    kept = {k: _plain(v) for k, v in resource.items() if k not in ("meta", "text", "id")}
    meta = {k: v for k, v in resource.get("meta", {}).items() if k in ("profile", "tag", "security")}
    return canonical(kept | ({"meta": meta} if meta else {}))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(x) for x in node]
    if not isinstance(node, dict):
        return node
    if node.keys() & {"reference", "identifier"} and node.keys() <= {"reference", "identifier", "type", "display"}:
        identifier = node.get("identifier")
        if isinstance(identifier, dict) and str(identifier.get("system", "")).endswith(LOGICAL):
            return {"reference": identifier.get("value")}
        if isinstance(identifier, dict):
            return {"identifier": identifier}
        return {"reference": node.get("reference")}
    return {k: _plain(v) for k, v in node.items()}


def _part(whole: Closure, names: Sequence[Name]) -> Closure:
    """The named items of a set."""
    return Closure({n: whole.items[n] for n in names}, {n: whole.targets[n] for n in names}, whole.absent)


def _refreshed(whole: Closure, etags: Mapping[Name, str]) -> Closure:
    """The same set with ETags learnt meanwhile."""
    items = {n: Item(i.type, i.id, i.version, i.content, etags.get(n, i.etag)) for n, i in whole.items.items()}
    return Closure(items, whole.targets, whole.absent)
