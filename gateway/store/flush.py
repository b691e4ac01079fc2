"""Writes a finished working set to the database: few statements, many rows each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.fhir.json import encode
from gateway.store.composer import patients_json
from gateway.store.cover import settle
from gateway.store.index.keys import Entries
from gateway.store.index.write import IndexRow, IndexWriter
from gateway.store.residents import Residents
from gateway.store.states import ContributionState, ResourceState
from gateway.store.unit import Unit

__all__ = ["EntriesOf", "flush"]


class EntriesOf(Protocol):
    """The pure half of the search index (gateway/store/index/keys.py)."""

    def entries(self, type_: str, resource: Mapping[str, Any], /) -> Entries:
        """Index entries of one resource."""
        ...


_MESSAGE = ("id", "source", "name", "peer", "media_type", "charset", "digest", "size", "received", "state", "rows", "fresh", "repeats", "reason")
_VERSION = ("id", "record", "number", "message", "source", "row", "position", "stamp", "digest", "rank", "state", "map_version", "seq")
_CONTRIBUTION = ("resource", "covered", "record", "person", "part", "rank", "compose", "by", "present", "content", "patients", "cleared")
_RESOURCE = ("rid", "type", "id", "version", "seq", "time", "deleted", "resident", "custodian", "record", "content")
_FINDING = ("id", "source", "message", "version", "code", "severity", "text", "target", "locator", "line", "time")


def flush(unit: Unit, residents: Residents, indexer: EntriesOf, index: IndexWriter) -> None:
    """Writes everything; the caller commits."""
    with unit.raw.together(len(unit.resources)):
        _write(unit, residents, indexer, index)


def _write(unit: Unit, residents: Residents, indexer: EntriesOf, index: IndexWriter) -> None:
    raw = unit.raw
    raw.insert("message", _MESSAGE, unit.messages)
    raw.insert("message_chunk", ("message", "n", "content"), unit.chunks)
    raw.many("UPDATE message SET repeats = repeats + 1 WHERE id = ?", unit.repeated)
    raw.upsert("repeated_row", ("message", "row"), ("version", "position"), unit.repeated_rows)
    _records(unit)
    raw.insert("record_version", _VERSION, unit.versions)
    raw.many("UPDATE record_version SET state = ?, map_version = ?, seq = ? WHERE id = ?", unit.version_updates)
    raw.insert("finding", _FINDING, unit.findings)
    raw.insert("hold", ("id", "version", "record", "code", "state", "sides", "opened", "part"), unit.holds)
    _resources(unit)
    _contributions(unit)
    _residents(unit, residents)
    raw.insert("quality_control", ("id", "version", "source", "message", "time", "fields"), unit.quality_control)
    raw.insert("event", ("seq", "time", "kind", "source", "message", "record", "version", "actor", "resources"), unit.events)
    _deliveries(unit)
    _index(unit, indexer, index)


def _records(unit: Unit) -> None:
    fresh = [r for r in unit.records.values() if r.fresh]
    fresh.sort(key=lambda r: (r.key, r.dataset, r.authority))
    names = ("id", "authority", "dataset", "key", "current", "rank", "versions", "person")
    unit.raw.insert("record", names, [(r.id, r.authority, r.dataset, r.key, r.current, r.rank, r.versions, r.person) for r in fresh])
    unit.raw.many(
        "UPDATE record SET current = ?, rank = ?, versions = ?, person = ? WHERE id = ?",
        [(r.current, r.rank, r.versions, r.person, r.id) for r in unit.records.values() if r.dirty and not r.fresh],
    )


def _resources(unit: Unit) -> None:
    written = [s for s in unit.resources.values() if s.version != s.stored]
    fresh = sorted((s for s in written if not s.stored), key=lambda s: s.id if not unit.raw.sqlite else "")
    unit.raw.insert("resource", _RESOURCE, [_row(s) for s in fresh])
    unit.raw.many(
        "UPDATE resource SET version=?, seq=?, time=?, deleted=?, resident=?, custodian=?, record=?, content=? WHERE rid=?",
        [(*_row(s)[3:], s.rid) for s in written if s.stored],
    )
    past = [row for s in written for row in s.past]
    unit.raw.insert("resource_history", ("rid", "version", "seq", "time", "deleted", "record", "content"), past)


def _row(s: ResourceState) -> tuple[Any, ...]:
    return (s.rid, s.type, s.id, s.version, s.seq, s.time, s.deleted, s.resident, s.custodian, s.record, s.content)


def _contributions(unit: Unit) -> None:
    gone = [(c.resource, c.was, c.record, c.person, c.part) for c in unit.gone_contributions]
    rows = []
    for s in unit.resources.values():
        if s.version:
            if len(s.contributions) > 1 and any(c.fresh or c.dirty for c in s.contributions.values()):
                settle(s.contributions.values())
            for c in s.contributions.values():
                if c.fresh or c.dirty:
                    rows.append(_contribution(c))
                    if not c.fresh:
                        gone.append((c.resource, c.was, c.record, c.person, c.part))
    unit.raw.many("DELETE FROM contribution WHERE resource = ? AND covered = ? AND record = ? AND person = ? AND part = ?", gone)
    unit.raw.insert("contribution", _CONTRIBUTION, rows)


def _contribution(c: ContributionState) -> tuple[Any, ...]:
    cleared = encode(c.cleared).decode() if c.cleared else None
    return (c.resource, c.covered, c.record, c.person, c.part, c.rank, c.compose, c.by, c.present, c.content, patients_json(c.patients), cleared)


def _residents(unit: Unit, residents: Residents) -> None:
    fresh, numbers = [], []
    digests = {id_: digest for digest, id_ in residents.digests.items()}
    for id_ in sorted(residents.fresh):
        c = residents.claims[id_]
        said = encode([(n.system, n.value, n.strong) for n in c.numbers]).decode()
        fresh.append((id_, digests[id_], said, c.name, c.sex, c.birth_date, c.origin, c.patient, c.pin))
        numbers += [(n.value, n.system, id_, n.strong) for n in {(n.system, n.value): n for n in c.numbers}.values()]
    names = ("id", "claim", "numbers", "name", "sex", "birth_date", "origin", "patient", "pin")
    unit.raw.insert("source_patient", names, fresh)
    unit.raw.insert("patient_number", ("value", "system", "source_patient", "strong"), numbers)
    moved = [residents.claims[i] for i in residents.dirty - residents.fresh]
    unit.raw.many("UPDATE source_patient SET patient = ?, origin = ?, pin = ? WHERE id = ?", [(c.patient, c.origin, c.pin, c.id) for c in moved])
    unit.raw.many("DELETE FROM patient_link WHERE source_patient = ? AND resource = ? AND record = ? AND path = ?", unit.gone_links)
    links = [row for row in unit.new_links if row in unit.links and unit.resources[row[1]].version]
    links.sort()
    unit.raw.upsert("patient_link", ("source_patient", "resource", "record", "path"), (), links)


def _deliveries(unit: Unit) -> None:
    names = ("id", "destination", "lane", "seq", "record", "items", "state", "attempts", "made")
    unit.raw.insert("delivery", names, [(*row, "waiting", 0, unit.now) for row in unit.deliveries])
    lanes = sorted({(destination, lane) for _, destination, lane, *_ in unit.deliveries})
    unit.raw.many(
        "INSERT INTO delivery_lane (destination, lane, state, due, attempts) VALUES (?, ?, 'waiting', ?, 0) "
        "ON CONFLICT (destination, lane) DO UPDATE SET state = 'waiting' WHERE delivery_lane.state = 'idle'",
        [(*lane, unit.now) for lane in lanes],
    )


def _index(unit: Unit, indexer: EntriesOf, index: IndexWriter) -> None:
    add: list[IndexRow] = []
    update: list[IndexRow] = []
    remove: list[int] = []
    for s in unit.resources.values():
        if s.version == s.stored:
            continue
        if s.deleted:
            if s.stored:
                remove.append(s.rid)
            continue
        assert s.body is not None
        row = IndexRow(s.rid, s.type, s.time, indexer.entries(s.type, s.body))  # id and version have columns of their own
        (update if s.stored else add).append(row)
    cursor = unit.raw.cursor
    if add:
        index.add(cursor, add)
    if update:
        index.update(cursor, update)
    if remove:
        index.remove(cursor, remove)
