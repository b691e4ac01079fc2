"""One round of delivery: what some lanes owe one destination goes up in as few transactions as it can, whatever the server answers.

A set that fails as a whole is taken apart (lanes, then components) until the culprit stands alone; only what refers to it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gateway.errors import TerminalError, TransientError
from gateway.fhir.bundle import bundle
from gateway.fhir.json import decode
from gateway.outbox.bundle import Closure, Item, closure
from gateway.outbox.ledger import Ledger, Result
from gateway.outbox.references import Rewriter, local_id, split, upstream_id
from gateway.outbox.same import comparable, loosely
from gateway.store.deliveries import Current
from gateway.store.names import Name
from gateway.store.settlement import Sent
from gateway.store.unsettled import Refusal, Waiting
from gateway.upstream import Accepted, FhirServer, MissingTargets, Paused, Referenced, Rejected, Reply, Retry, VersionConflict

IN_A_ROW = 12
"""Failures in a row, while a set that fails again and again is taken apart, after which the server itself is the culprit."""
MOST_FREED = 100
"""Resources that may refer to something deleted; a server names one at a time."""
SEPARABLE = frozenset({"409", "423", "500", "501", "timeout", "unreadable-answer", "unfitting-answer"})
"""Passing faults that can be one resource's own: after some attempts the set is taken apart, so that its neighbours go on."""


@dataclass(frozen=True, slots=True)
class Leasing:
    """The leases of a round's worker. take(lanes): those it has, or takes now; keep(): False when it lost one."""

    take: Callable[[set[str]], set[str]] = lambda lanes: lanes
    keep: Callable[[], bool] = lambda: True


class Round:
    """Delivers a set of resources to one server. patient: a passing fault ends the round at once, else the set is taken apart."""

    def __init__(self, server: FhirServer, ledger: Ledger, leasing: Leasing, base: str, limit: int, *, patient: bool = True) -> None:
        self.server = server
        self.ledger = ledger
        self.leasing = leasing
        self.rewriter = Rewriter(base)
        self.limit = limit
        self.patient = patient
        self.result = Result()
        self._lost: set[Name] = set()  # the server does not have them although it once did
        self._blocked: set[Name] = set()  # refused or waiting, and not there in any version
        self._busy: set[Name] = set()  # cannot be sent now: another worker has the lane, or what they refer to fails for now
        self._freed: set[Name] = set()  # sent again without a reference to something deleted
        self._etags: dict[Name, str] = {}  # learnt in this round
        self._failures = 0  # in a row

    def run(self, wanted: set[Name]) -> Result:
        """Sends the newest versions of these resources and whatever they need. Writes nothing: the caller settles the result."""
        result = self.result
        held = self._current(wanted)
        waits = self.ledger.waits(wanted)
        come = self._living(set().union(*waits.values())) if waits else set()
        again = {name for name, targets in waits.items() if targets & come}
        result.gone = {n for n, c in held.items() if c.deleted and not c.there}
        owed = {n: c for n, c in held.items() if (c.delivered < c.version or n in again) and n not in result.gone}
        faults = self.ledger.faults(owed)
        owed = {n: c for n, c in owed.items() if faults.get(n) != c.version}
        if owed:
            self._deliver([_item(c) for c in owed.values()])
        parked = {n for n, w in result.waiting.items() if not w.sent}
        result.left = owed.keys() - result.sent.keys() - result.refused.keys() - parked
        return result

    # -- what is held here and there ---------------------------------------------------------------------------------------------

    def _current(self, names: set[Name], *, content: bool = True) -> dict[Name, Current]:
        """What is held here; what is there as this round knows it."""
        found = self.ledger.current(names, content=content)
        for name in found.keys() & (self.result.sent.keys() | self._lost | self._etags.keys()):
            just = self.result.sent.get(name)
            if just is not None:
                found[name] = replace(found[name], delivered=just.version, etag=just.etag)
            elif name in self._lost:
                found[name] = replace(found[name], delivered=0, etag="")
            else:
                found[name] = replace(found[name], etag=self._etags[name])
        return found

    def _living(self, names: set[Name]) -> set[Name]:
        return {n for n, c in self._current(names, content=False).items() if not c.deleted}

    def _present(self, names: set[Name]) -> set[Name]:
        return {n for n, c in self._current(names, content=False).items() if c.there and not c.deleted}

    def _items(self, names: set[Name]) -> dict[Name, Item | None]:
        """What the gateway holds of these names; None where another worker delivers it now. Their content is read once the lanes are
        ours: their last worker may have sent some of it meanwhile."""
        living = {n: c for n, c in self._current(names, content=False).items() if not c.deleted}
        if not living:
            return {}
        mine = self.leasing.take({c.lane for c in living.values()})
        return {n: _item(c) if c.lane in mine else None for n, c in self._current(set(living)).items() if not c.deleted}

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
        faults = self.ledger.faults(whole.items)
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
        for name, targets in waits.items():
            self.result.waiting[name] = Waiting(frozenset(targets), sent=False)
        return whole.part(n for n in whole.items if n in left)

    def _send(self, whole: Closure) -> None:
        """Sends a set in one transaction, and makes the best of the answer."""
        if not self.leasing.keep():
            self.result.stop = Retry("lease-lost")
            return
        names = list(whole.items)  # in order: targets first
        reply = self.server.transaction(bundle("transaction", whole.entries(names, self.rewriter)), len(names))
        self._failures = 0 if isinstance(reply, Accepted) else self._failures + 1
        match reply:
            case Accepted(results):
                self.result.accepted += 1
                for name, answer in zip(names, results, strict=True):
                    self._arrived(whole, name, answer.etag)
            case Retry(code) if not self.patient and code in SEPARABLE and self._failures < IN_A_ROW:
                self._take_apart(whole, reply)
            case Retry() | Paused():
                self.result.stop = reply
            case _:
                self._mend(whole, reply)

    def _arrived(self, whole: Closure, name: Name, etag: str) -> None:
        """Notes what the server has now, and which targets it went up without."""
        self.result.sent[name] = Sent(*name, whole.items[name].version, etag, self.ledger.seen(name))
        missing = whole.missing(name)
        if missing:
            self.result.waiting[name] = Waiting(frozenset(missing), sent=True)
        else:
            self.result.waiting.pop(name, None)

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
            self.result.refused[name] = Refusal(item.version, "refused", text)

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
        ours = {(t, local_id(i)) for t, i in map(split, sources)} - whole.items.keys() - self._freed
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
        again = [i for i in found.values() if i is not None]
        again += [_item(c) for c in self._current(ours - found.keys()).values() if c.there]
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
            if there is None and item.content is None:
                self._arrived(whole, name, "")
            elif there is None:
                self._etags[name] = ""
                left.append(name)
            elif there[0] == item.etag or not self._settled_there(whole, name, there):
                left.append(name)
        return [n for n in left if n not in self.result.refused]

    def _settled_there(self, whole: Closure, name: Name, there: tuple[str, bytes]) -> bool:
        """Whether the server has this version of ours already. An older one of ours gives its ETag; anything else is refused: it is neither
        overwritten nor deleted."""
        ours, theirs = whole.body(name, self.rewriter), decode(there[1])
        if ours is not None and comparable(decode(ours)) == comparable(theirs):
            self._arrived(whole, name, there[0])
            return True
        if loosely(theirs) in {loosely(v) for v in self.ledger.versions(name)}:
            self._etags[name] = there[0]
            return False
        text = (
            f"目标服务器上的 {name[0]}/{upstream_id(name[1])} 被别的系统改写(其版本 {there[0]}), 未{'删除' if ours is None else '覆盖'}; "
            "请核对双方内容, 以本网关为准时运行 `yifang deliveries reconcile --resend`"
        )
        self.result.refused[name] = Refusal(whole.items[name].version, "conflict", text)
        return False


def _item(c: Current) -> Item:
    return Item(c.type, c.id, c.version, None if c.deleted else c.content, c.etag)
