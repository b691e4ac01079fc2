"""The writer's working set for one group: loads in sets what the group's records touch, and holds how it will stand at the commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.errors import Finding
from gateway.fhir.json import canonical, encode
from gateway.store.raw import Raw
from gateway.store.rules import Rules
from gateway.store.states import Body, ContributionState, RecordState, ResourceState, Version, content_of, head_length, suffix_of
from gateway.store.work import Change, Item

__all__ = ["Unit"]

_RECORD = "SELECT id, authority, dataset, key, current, rank, versions, person FROM record WHERE "
_VERSION = "SELECT record, id, number, message, stamp, digest, rank, state, map_version, seq, row FROM record_version WHERE record {} ORDER BY number"
_RESOURCE = "SELECT rid, type, id, version, seq, time, deleted, resident, custodian, record, content FROM resource WHERE "
_CONTRIBUTION = (
    "SELECT c.resource, c.record, c.person, c.part, c.rank, c.compose, c.by, c.present, c.content, c.patients, c.cleared, r.authority, r.key, "
    "c.covered "
    "FROM contribution c JOIN record r ON r.id = c.record WHERE "
)


class Unit:
    """One group. now: µs since the epoch, the same for all it writes."""

    def __init__(self, raw: Raw, rules: Rules, now: datetime, destinations: Sequence[str] = ()) -> None:
        self.raw = raw
        self.rules = rules
        self.now = int(now.timestamp() * 1_000_000)
        self.instant = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
        self.destinations = destinations
        self.records: dict[tuple[str, str, str], RecordState] = {}
        self.resources: dict[int, ResourceState] = {}
        self.by_name: dict[tuple[str, str], ResourceState] = {}
        self.links: set[tuple[int, int, int, str]] = set()
        self.new_links: list[tuple[int, int, int, str]] = []
        self.gone_links: list[tuple[int, int, int, str]] = []
        self.gone_contributions: list[ContributionState] = []
        self.changes: list[Change] = []
        self.known_messages: dict[tuple[str, str], int] = {}  # (source, digest) -> id
        self.messages: list[tuple[Any, ...]] = []
        self.repeated: list[tuple[int]] = []
        self.repeated_rows: list[tuple[int, int, int, str]] = []
        self.chunks: list[tuple[Any, ...]] = []
        self.versions: list[tuple[Any, ...]] = []
        self.version_updates: list[tuple[Any, ...]] = []
        self.findings: list[tuple[Any, ...]] = []
        self.holds: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.deliveries: list[tuple[Any, ...]] = []
        self.quality_control: list[tuple[Any, ...]] = []

    # -- loading -----------------------------------------------------------------------------------------------------------------

    def load(self, items: Sequence[Item]) -> None:
        """Reads records, their versions and contributions, and every resource these or the new drafts touch."""
        keys = {identity(i) for i in items} - self.records.keys()
        self._load_records(keys)
        known = [r.id for r in self.records.values() if not r.fresh and not r.known]
        by_id = {r.id: r for r in self.records.values()}
        for record, *version in self.raw.among(_VERSION, known):
            by_id[record].known.append(Version(*version))
        own = self.raw.among(_CONTRIBUTION + "c.record {}", known)
        rids = {row[0] for row in own}
        for rid in rids & self.resources.keys():
            for c in self.resources[rid].contributions.values():
                if c.record in by_id:
                    by_id[c.record].contributions[(rid, c.person, c.part)] = c
        names = {(d.type, id_) for i in items for d in i.result.drafts if d.id for id_ in (d.id, *d.was)}
        self.load_resources(rids=rids, names=names)
        self._take_contributions(own)

    def _load_records(self, keys: set[tuple[str, str, str]]) -> None:
        lock = "" if self.raw.sqlite else "ORDER BY id FOR UPDATE"
        for row in self.raw.among(_RECORD + "key {}", {k for _, _, k in keys}, lock):
            identity_ = (row[1], row[2], row[3])
            if identity_ in keys:
                state = RecordState(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])
                state.fresh = False
                self.records[identity_] = state

    def load_resources(self, rids: Iterable[int] = (), names: Iterable[tuple[str, str]] = ()) -> None:
        """Reads resources by row number or by (type, id), with all their contributions; what is here already is not read again."""
        lock = "" if self.raw.sqlite else "ORDER BY rid FOR UPDATE"
        ids = {id_ for type_, id_ in names if (type_, id_) not in self.by_name}
        rows = self.raw.among(_RESOURCE + "id {}", ids, lock)
        rows += self.raw.among(_RESOURCE + "rid {}", set(rids) - self.resources.keys() - {r[0] for r in rows}, lock)
        found = []
        for row in rows:
            if row[0] not in self.resources:
                rid, type_, id_, version, seq, time, deleted, resident, custodian, record, content = row
                state = ResourceState(rid, type_, id_, version, seq, time, bool(deleted), resident, custodian, record, bytes(content), version)
                state.head, state.whole = head_length(state.content), False
                self.resources[state.rid] = self.by_name[(state.type, state.id)] = state
                found.append(state.rid)
        if found:
            self._load_contributions(found)

    def load_covered(self, rid: int) -> None:
        """Reads the contributions of a resource that are covered: what covers them is about to change, vanish or move."""
        state = self.resources[rid]
        if not state.whole:
            state.whole = True
            self._take_contributions(self.raw.among(_CONTRIBUTION + "c.covered = TRUE AND c.resource {}", [rid]))
            for c in state.contributions.values():
                c.covered = False  # until it is settled at the end of the group

    def _load_contributions(self, rids: Sequence[int]) -> None:
        self._take_contributions(self.raw.among(_CONTRIBUTION + "c.covered = FALSE AND c.resource {}", rids))

    def _take_contributions(self, rows: Sequence[Any]) -> None:
        by_record = {r.id: r for r in self.records.values()} if rows else {}
        for rid, record, person, part, rank, kind, by, present, content, patients, cleared, authority, key, covered in rows:
            if (record, person, part) in self.resources[rid].contributions:
                continue
            pairs = tuple((p, s) for p, s in json.loads(patients)) if patients else ()
            c = ContributionState(rid, record, person, part, rank, kind, by, bool(present), None if content is None else bytes(content), pairs,
                                  tuple(json.loads(cleared)) if cleared else (), authority, key, fresh=False, covered=bool(covered),
                                  was=bool(covered))  # fmt: skip
            self.resources[rid].contributions[(record, person, part)] = c
            if record in by_record:
                by_record[record].contributions[(rid, person, part)] = c

    # -- records and resources ---------------------------------------------------------------------------------------------------

    def record(self, item: Item) -> RecordState:
        """The record's state; a new one gets its id."""
        identity_ = identity(item)
        state = self.records.get(identity_)
        if state is None:
            state = self.records[identity_] = RecordState(self.raw.number(), *identity_)
        return state

    def record_named(self, authority: str, dataset: str, key: str) -> RecordState:
        """The record of this identity, without its versions; a new one gets its id."""
        identity_ = (authority, dataset, key)
        if identity_ not in self.records:
            self._load_records({identity_})
        if identity_ not in self.records:
            self.records[identity_] = RecordState(self.raw.number(), *identity_)
        return self.records[identity_]

    def resource(self, type_: str, id_: str) -> ResourceState:
        """The resource's state; a new one gets its row number, and is written when its first content comes."""
        state = self.by_name.get((type_, id_))
        if state is None:
            state = ResourceState(self.raw.number(), type_, id_)
            self.resources[state.rid] = self.by_name[(type_, id_)] = state
        return state

    def add_contribution(self, c: ContributionState, record: RecordState) -> None:
        """Puts a contribution beside its resource and its record, with the references it makes to residents."""
        self.resources[c.resource].contributions[(c.record, c.person, c.part)] = c
        record.contributions[(c.resource, c.person, c.part)] = c
        for path, source in c.patients:
            self.link(source, c.resource, c.record, path)

    def drop_contribution(self, c: ContributionState, record: RecordState | None = None) -> None:
        """Takes a contribution away."""
        self.resources[c.resource].contributions.pop((c.record, c.person, c.part), None)
        for r in [record] if record is not None else [r for r in self.records.values() if r.id == c.record]:
            r.contributions.pop((c.resource, c.person, c.part), None)
        if not c.fresh:
            self.gone_contributions.append(c)

    def link(self, source: int, rid: int, record: int, path: str) -> None:
        """Notes that this resource refers, at this path, to this source patient, because this record says so."""
        row = (source, rid, record, path)
        if row not in self.links:
            self.links.add(row)
            self.new_links.append(row)

    def write(self, state: ResourceState, body: Body | None, *, seq: int, record: int | None, resident: int | None, custodian: str) -> bool:
        """Makes this the resource's content (None: deleted); False when it is that already, and no version is made."""
        if body is None:
            if state.deleted or not state.version:
                return False
            suffix, how = b"}}", "deleted"
        else:
            suffix = suffix_of(body)
            how = "updated"
            if state.version and not state.deleted and self._same(state, suffix, body):
                return False
        before = state.version
        if before:
            state.past.append((state.rid, state.version, state.seq, state.time, state.deleted, state.record, state.content))
        else:
            how = "created"
            state.custodian = custodian
        state.version = before + 1
        state.content, state.head = content_of(state.type, state.id, state.version, self.instant, suffix)
        state.seq, state.time, state.deleted, state.record, state.body = seq, self.now, body is None, record, body
        state.resident = resident if state.type != "Patient" else state.rid
        self.changes.append(Change(state.type, state.id, before, how))
        return True

    def _same(self, state: ResourceState, suffix: bytes, body: Body) -> bool:
        """Whether the current content says the same; the order of keys does not count, the precision of numbers does."""
        if state.content[state.head :] == suffix:
            return True
        if len(state.content) - state.head != len(suffix):
            return False
        return canonical_suffix(state.plain()) == canonical_suffix(body)

    # -- rows that only grow -----------------------------------------------------------------------------------------------------

    def note(self, finding: Finding, *, source: str, message: int | None, version: int | None) -> None:
        """Keeps a finding with its record or message."""
        f = finding
        self.findings.append((self.raw.number(), source, message, version, f.code, f.severity, f.message, f.target, f.source, f.line, self.now))

    def event(self, kind: str, *, seq: int, source: str = "", message: int | None = None, record: int | None = None, version: int | None = None,
              actor: str = "", wrote: Sequence[ResourceState] = ()) -> None:  # fmt: skip
        """Puts an event on the timeline and what it wrote into the outbox."""
        resources = encode([(s.type, s.id, s.version) for s in wrote]).decode() if wrote else "[]"
        self.events.append((seq, self.now, kind, source, message, record, version, actor, resources))
        if wrote and self.destinations:
            self._deliver(seq, record, wrote)

    def _deliver(self, seq: int, record: int | None, wrote: Sequence[ResourceState]) -> None:
        resident = next((s.resident for s in wrote if s.resident is not None), None)
        lanes: dict[str, list[tuple[str, str]]] = {}
        for s in wrote:
            if s.type in STAYS:
                continue
            owner = s.resident if s.resident is not None else resident
            lane = SHARED if owner is None or s.type in SHARED_TYPES else str(owner)
            lanes.setdefault(lane, []).append((s.type, s.id))
        for lane, items in sorted(lanes.items(), key=lambda kv: kv[0] != SHARED):
            text = encode(items).decode()
            for destination in self.destinations:
                self.deliveries.append((self.raw.number(), destination, lane, seq, record, text))


SHARED = "shared"
SHARED_TYPES = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "Device"})
STAYS = frozenset({"Subscription"})
"""Types that no destination gets: a Subscription may hold its receiver's password, and a destination would begin to notify by itself."""


def identity(item: Item) -> tuple[str, str, str]:
    """(authority, dataset, key) of an item's record; the key's parts are joined by U+001F."""
    r = item.record
    return (r.authority, r.dataset, "\x1f".join(r.key))


def canonical_suffix(body: Body) -> bytes:
    """Bytes of a body that do not depend on the order of its keys."""
    return canonical({k: v for k, v in body.items() if k not in ("resourceType", "id")})
