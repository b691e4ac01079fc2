"""One round of delivery: what some lanes owe one destination goes up in as few transactions as it can, whatever the server answers.

A set that fails as a whole is taken apart (lanes, then components) until the culprit stands alone; only what refers to it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.errors import TerminalError, TransientError
from gateway.fhir.json import Resource, decode
from gateway.outbox.bundle import PREFIX, Closure, Item, Name, bundle, closure, split, upstream_id
from gateway.outbox.same import comparable, loosely
from gateway.outbox.state import State
from gateway.upstream import Accepted, FhirServer, MissingTargets, Paused, Referenced, Rejected, Reply, Retry, VersionConflict

SHARED = "shared"
IN_A_ROW = 12
"""Failures in a row, while a set that fails again and again is taken apart, after which the server itself is the culprit."""
MOST_FREED = 100
"""Resources that may refer to something deleted; a server names one at a time."""
SEPARABLE = frozenset({"409", "423", "500", "501", "timeout", "unreadable-answer", "unfitting-answer"})
"""Passing faults that can be one resource's own: after some attempts the set is taken apart, so that its neighbours go on."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the gateway holds of a resource and what the destination has of it. content None: deleted here. sent 0: never delivered.
    lane: where the resource is delivered from."""

    version: int
    content: bytes | None
    sent: int
    etag: str
    lane: str = SHARED

    @property
    def there(self) -> bool:
        """Whether the destination has it in some version."""
        return self.sent > 0 and (self.content is not None or self.sent < self.version)


@dataclass(frozen=True, slots=True)
class SentItem:
    """A resource that the server has now, at our version, under its ETag."""

    name: Name
    version: int
    etag: str


@dataclass(frozen=True, slots=True)
class Ports:
    """What a round needs of the store: held(names) -> those it holds; versions(name) -> bodies of all our versions, newest first;
    lease(lanes) -> those this worker has, or takes now; keep() -> False when it lost one of its leases."""

    held: Callable[[set[Name]], Mapping[Name, Held]]
    versions: Callable[[Name], Iterable[Resource]]
    lease: Callable[[set[str]], set[str]] = lambda lanes: lanes
    keep: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class Result:
    """Outcome of a round. left: still owed; woken: went up with a target missing that has come since, to be sent again.
    stop: a reply that ended the round (Retry or Paused); what was sent before it stays sent. accepted: transactions that went through.
    fault: the passing fault of a resource that was tried alone."""

    sent: dict[Name, SentItem] = field(default_factory=dict)
    refused: dict[Name, str] = field(default_factory=dict)
    left: set[Name] = field(default_factory=set)
    woken: set[Name] = field(default_factory=set)
    stop: Retry | Paused | None = None
    accepted: int = 0
    fault: Retry | None = None


class Round:
    """Delivers a set of resources to one server. patient: a passing fault ends the round at once, else the set is taken apart."""

    def __init__(self, server: FhirServer, state: State, ports: Ports, base: str, now: Callable[[], datetime], limit: int, *, patient: bool = True
                 ) -> None:  # fmt: skip
        self.server = server
        self.state = state
        self.ports = ports
        self.base = base
        self.now = now
        self.limit = limit
        self.patient = patient
        self.result = Result()
        self._lost: set[Name] = set()  # the server does not have them although it once did
        self._blocked: set[Name] = set()  # refused or waiting, and not there in any version
        self._busy: set[Name] = set()  # cannot be sent now: another worker has the lane, or what they refer to fails for now
        self._parked: set[Name] = set()  # wait for a target that was refused
        self._freed: set[Name] = set()  # sent again without a reference to something deleted
        self._etags: dict[Name, str] = {}  # learnt in this round
        self._again: set[Name] = set()  # to be sent although the server has the newest version: a target arrived
        self._failures = 0  # in a row

    def run(self, wanted: set[Name]) -> Result:
        """Sends the newest versions of these resources and whatever they need, and says whom their arrival wakes."""
        result = self.result
        waits = self.state.waits(wanted) if self.state.any_waits() else {}
        if waits:
            here = self._living(set().union(*waits.values()))
            self._again = {name for name, targets in waits.items() if targets & here}
        held = self._held(wanted)
        owed = {n: h for n, h in held.items() if (h.sent < h.version or n in self._again) and not (h.content is None and not h.there)}
        faults = self.state.faults(owed)
        owed = {n: h for n, h in owed.items() if faults.get(n) != h.version}
        if owed:
            self._deliver([Item(n[0], n[1], h.version, h.content, h.etag) for n, h in owed.items()])
        result.left = owed.keys() - result.sent.keys() - result.refused.keys() - self._parked
        faulty, waiting = self.state.any_faults(), self.state.any_waits()
        told = self._held(wanted | result.sent.keys()) if faulty or waiting else {}
        if faulty:
            self.state.clear_faults(result.sent.keys() | {n for n, h in told.items() if h.content is None and not h.there})
        if waiting:
            result.woken |= self.state.waiting_for({n for n, h in told.items() if h.there or h.content is None})
        return result

    # -- what is held here and there ---------------------------------------------------------------------------------------------

    def _held(self, names: set[Name]) -> dict[Name, Held]:
        found: dict[Name, Held] = {}
        for name, held in self.ports.held(names).items() if names else ():
            just = self.result.sent.get(name)
            if just is not None:
                found[name] = Held(held.version, held.content, just.version, just.etag, held.lane)
            elif name in self._lost:
                found[name] = Held(held.version, held.content, 0, "", held.lane)
            else:
                found[name] = Held(held.version, held.content, held.sent, self._etags.get(name, held.etag), held.lane)
        return found

    def _living(self, names: set[Name]) -> set[Name]:
        return {n for n, h in self._held(names).items() if h.content is not None}

    def _present(self, names: set[Name]) -> set[Name]:
        return {n for n, h in self._held(names).items() if h.there and h.content is not None}

    def _items(self, names: set[Name]) -> dict[Name, Item | None]:
        """What the gateway holds of these names; None where another worker delivers it now. Read again once the lanes are ours: their
        last worker may have sent some of it meanwhile."""
        lanes = {h.lane for h in self._held(names).values() if h.content is not None}
        mine = self.ports.lease(lanes) if lanes else set()
        living = {n: h for n, h in self._held(names).items() if h.content is not None}
        return {n: Item(n[0], n[1], h.version, h.content, h.etag) if h.lane in mine else None for n, h in living.items()}

    # -- sending -----------------------------------------------------------------------------------------------------------------

    def _deliver(self, items: Sequence[Item]) -> None:
        whole = self._sendable(closure(items, self._items, self._present))
        sets = whole.sets(self.limit)
        while sets and self.result.stop is None:
            left = self._sendable(whole.part(n for n in sets.pop(0) if n not in self.result.sent))
            if left.items:
                self._send(left)

    def _sendable(self, whole: Closure) -> Closure:
        """Leaves out what was refused, and what refers to a resource that the server therefore does not have: that waits for a version
        which is accepted (the server may have an older version of a refused resource; then nothing has to wait). What another worker
        delivers now is left for later, with what refers to it."""
        faults = self.state.faults(whole.items)
        refused = {n for n, i in whole.items.items() if faults.get(n) == i.version or n in self.result.refused}
        self._blocked |= refused - self._present(refused)
        self._busy |= whole.busy
        left = whole.items.keys() - refused - self._busy
        away = self._busy - self._present(self._busy) if self._busy else set()
        while found := {n for n in left if whole.targets[n] & away}:
            left -= found
            self._busy |= found
            away |= found - self._present(found)
        waits: dict[Name, set[Name]] = {}
        while stuck := {n: whole.targets[n] & self._blocked for n in left if whole.targets[n] & self._blocked}:
            waits |= stuck
            self._blocked |= stuck.keys() - self._present(set(stuck))
            left -= stuck.keys()
        if waits:
            self._parked |= waits.keys()
            self.state.wait(waits, sent=False)
        return whole.part(n for n in whole.items if n in left)

    def _send(self, whole: Closure) -> None:
        """Sends a set in one transaction, and makes the best of the answer."""
        if not self.ports.keep():
            self.result.stop = Retry("lease-lost")
            return
        names = list(whole.items)  # in order: targets first
        reply = self.server.transaction(bundle(whole.entries(names, self.base)), len(names))
        self._failures = 0 if isinstance(reply, Accepted) else self._failures + 1
        match reply:
            case Accepted(results):
                self.result.accepted += 1
                for name, answer in zip(names, results, strict=True):
                    self.result.sent[name] = SentItem(name, whole.items[name].version, answer.etag)
                self._remember(whole)
            case Retry(code) if not self.patient and code in SEPARABLE and self._failures < IN_A_ROW:
                self._take_apart(whole, reply)
            case Retry() | Paused():
                self.result.stop = reply
            case _:
                self._mend(whole, reply)

    def _remember(self, whole: Closure) -> None:
        """Notes what went up with targets missing. One that came to the gateway meanwhile may have gone up before this note."""
        awaited = whole.awaited()
        if awaited:
            self.state.wait(awaited, sent=True)
            here = self._living(set().union(*awaited.values()))
            self.result.woken |= {name for name, targets in awaited.items() if targets & here}
        if self.state.any_waits():
            self.state.settled(n for n in whole.items if n not in awaited)
            self._again.difference_update(whole.items.keys() - awaited.keys())

    def _mend(self, whole: Closure, reply: Reply) -> None:
        """The set was refused as a whole: bring targets that the server lacks, free a deletion, look at versions, or take the set apart."""
        if isinstance(reply, MissingTargets) and self._bring(whole, reply.targets):
            return
        if isinstance(reply, Referenced) and self._free(whole, reply.sources):
            return
        if isinstance(reply, VersionConflict) and self._go_on(whole):
            return
        if self.result.stop is None:
            self._take_apart(whole, reply)

    def _take_apart(self, whole: Closure, reply: Reply) -> None:
        parts = whole.sets(1)
        if len(parts) == 1:
            self._give_up(whole, reply)
            return
        half = len(parts) // 2
        for group in (parts[:half], parts[half:]):
            rest = self._sendable(whole.part(n for part in group for n in part))
            if rest.items and self.result.stop is None:
                self._send(rest)

    def _give_up(self, whole: Closure, reply: Reply) -> None:
        """One component stands alone and does not go through. Refused, it is kept with the server's words; a fault that may pass leaves
        it owed. The rest goes on."""
        if isinstance(reply, Retry):
            self._busy |= whole.items.keys()
            self.result.fault = reply
            return
        text = reply.diagnostics if isinstance(reply, Rejected | MissingTargets | Referenced) else type(reply).__name__
        for name, item in whole.items.items():
            self.result.refused[name] = text
            self.state.record_fault(name, item.version, "refused", text, self.now())

    # -- what a server lacks, or holds fast --------------------------------------------------------------------------------------

    def _bring(self, whole: Closure, targets: Sequence[str]) -> bool:
        """The server lacks these targets: sends them when the gateway holds them, else goes without. False when that changes nothing."""
        referred = set().union(*whole.targets.values())
        by_upstream = {f"{t}/{upstream_id(i)}": (t, i) for t, i in referred}
        missing = {by_upstream[t] for t in targets if t in by_upstream} - whole.items.keys()
        fresh = missing - self._lost - whole.absent
        if not fresh:
            return False
        fresh |= self._lacking(referred - whole.items.keys() - self._lost - whole.absent)
        self._lost |= fresh
        for name in fresh:
            self.result.sent.pop(name, None)
        self._deliver(list(whole.items.values()))
        return True

    def _lacking(self, targets: set[Name]) -> set[Name]:
        """Which of these the server does not have. A server names one at a time; one that was emptied lacks them all."""
        found: set[Name] = set()
        for type_ in {t for t, _ in targets}:
            ids = {upstream_id(i): i for t, i in targets if t == type_}
            try:
                there = self.server.present(type_, ids)
            except (TransientError, TerminalError):
                continue  # it cannot be asked this; it will name them itself
            found |= {(type_, i) for theirs, i in ids.items() if theirs not in there}
        return found

    def _free(self, whole: Closure, sources: Sequence[str]) -> bool:
        """A deletion is refused because these still refer to it: ours go up again with it, without that reference. False: not ours."""
        ours = {(t, _ours(i)) for t, i in map(split, sources)} - whole.items.keys() - self._freed
        if len(self._freed) > MOST_FREED:
            return False
        found = self._items(ours)
        self._freed |= ours
        if any(item is None for item in found.values()):
            self._busy |= {n for n, i in whole.items.items() if i.content is None}
            rest = self._sendable(whole)
            if rest.items:
                self._send(rest)
            return True
        gone = self._held(ours - found.keys())
        again = [i for i in found.values() if i is not None]
        again += [Item(n[0], n[1], h.version, None) for n, h in gone.items() if h.there]
        if not again:
            return False
        self._deliver([*whole.items.values(), *again])
        return True

    # -- someone else wrote there, or an answer was lost -------------------------------------------------------------------------

    def _go_on(self, whole: Closure) -> bool:
        """After a stale If-Match: sends what still has to be sent with what was learnt. False when nothing was learnt."""
        known = dict(self._etags)
        left = self._compare(whole)
        if self.result.stop is not None:
            return True
        if len(left) == len(whole.items) and known == self._etags:
            return False
        rest = self._sendable(whole.part(left).refreshed(self._etags))
        if rest.items:
            self._send(rest)
        return True

    def _compare(self, whole: Closure) -> list[Name]:
        """Which names still have to be sent. What the server has of ours (an answer was lost) is success or gives the ETag to go on
        from; what someone else wrote is a conflict that a person decides."""
        left = []
        for name, item in whole.items.items():
            if not item.etag or item.content is None:
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
            elif there[0] == item.etag or not self._settled_there(whole, name, there):
                left.append(name)
        return [n for n in left if n not in self.result.refused]

    def _settled_there(self, whole: Closure, name: Name, there: tuple[str, bytes]) -> bool:
        """Whether the server has this version of ours already. An older one of ours gives its ETag; anything else is refused."""
        ours, theirs = whole.body(name, self.base), decode(there[1])
        assert ours is not None
        if comparable(decode(ours)) == comparable(theirs):
            self.result.sent[name] = SentItem(name, whole.items[name].version, there[0])
            self._remember(whole.part([name]))
            return True
        if loosely(theirs) in {loosely(v) for v in self.ports.versions(name)}:
            self._etags[name] = there[0]
            return False
        text = (
            f"目标服务器上的 {name[0]}/{upstream_id(name[1])} 被别的系统改写(其版本 {there[0]}), 未覆盖; "
            "请核对双方内容, 以本网关为准时运行 `yifang deliveries reconcile --resend`"
        )
        self.result.refused[name] = text
        self.state.record_fault(name, whole.items[name].version, "conflict", text, self.now())
        return False


def _ours(upstream: str) -> str:
    """The id here of an id there."""
    digits = upstream.removeprefix(PREFIX)
    return digits if digits.isdigit() else upstream
