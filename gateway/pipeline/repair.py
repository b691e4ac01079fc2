"""What people do afterwards: replay a message, re-map records, release or reject a hold, link and unlink residents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from gateway.errors import Conflict, NotFound, Refused
from gateway.record import IN_PART, Receipt, RecordOutcome
from gateway.store import holds, messages
from gateway.store import tables as t
from gateway.store.apply import Applier
from gateway.store.messages import StoredMessage
from gateway.store.unit import Unit
from gateway.store.work import Change, Item, Work

if TYPE_CHECKING:
    from gateway.pipeline.gateway import Gateway

__all__ = ["RemapReport", "link", "reject", "release", "remap", "replay", "unlink"]


@dataclass(slots=True)
class RemapReport:
    """What a re-map changes (or would change): resources here, and deliveries downstream; held: records the new map holds."""

    records: int = 0
    created: list[tuple[str, str]] = field(default_factory=list)
    updated: list[tuple[str, str]] = field(default_factory=list)
    vanished: list[tuple[str, str]] = field(default_factory=list)
    deliveries: int = 0
    held: int = 0

    def add(self, changes: Sequence[Change]) -> None:
        """Counts each resource once, by the gravest that happens to it."""
        for c in changes:
            into = {"created": self.created, "updated": self.updated}.get(c.how, self.vanished)
            if (c.type, c.id) not in into:
                into.append((c.type, c.id))


def replay(gateway: Gateway, message: StoredMessage) -> Receipt:
    """Maps a stored message from its first row with the present maps. What was set aside of rows that are now another record's (a key
    that was not found before) is settled: its holds are resolved and it counts no more in the message's state.

    Raises Conflict when only the head of the message was kept: half a message must not be written."""
    if message.media_type == IN_PART:
        raise Conflict(f"消息 {message.id} 只留存了开头, 不能重放; 请发送方拆小或修好后重发原文")
    left: dict[int, list[int]] = {}  # record -> its versions, of those that were set aside and have not come again

    def begin(unit: Unit, _applier: Applier) -> None:
        for record, version in unit.raw.rows("SELECT record, id FROM record_version WHERE message = ? AND state IN ('held','refused')", [message.id]):
            left.setdefault(record, []).append(version)
        unit.raw.run("DELETE FROM repeated_row WHERE message = ?", [message.id])

    def came(outcomes: Sequence[RecordOutcome]) -> None:
        for outcome in outcomes:
            left.pop(outcome.record, None)

    def settle(unit: Unit, _applier: Applier) -> None:
        for version in chain.from_iterable(left.values()):
            unit.raw.run("UPDATE hold SET state = 'resolved', decided = ? WHERE version = ? AND state = 'open'", [unit.now, version])
            unit.raw.run("UPDATE record_version SET state = 'older' WHERE id = ?", [version])

    gateway.writer.submit(Work(message.source, command=begin)).result()
    receipt = gateway.ingest(message.source).process(message, again=True, heed=came)

    if receipt.state in ("mapped", "held", "partly"):  # read to its end
        gateway.writer.submit(Work(message.source, command=settle)).result()
        receipt.state = gateway.writer.submit(Work(message.source, message=message.id, state="?")).result().state
    return receipt


def _items(gateway: Gateway, message: StoredMessage, wanted: Callable[[Item], bool], *, again: bool = False, released: bool = False) -> list[Item]:
    """Some records of a stored message, mapped with the present maps."""
    ingest = gateway.ingest(message.source)
    content = messages.opened(gateway.database, message, ingest.chunk)
    try:
        items = [i for i in ingest.items(ingest.binding.extract(content), []) if wanted(i)]
    except Refused as e:
        raise Conflict(f"消息 {message.id} 整体不可读({e.finding.code}); 请修正来源配置后重放") from e
    for item in items:
        item.again, item.released = again, released
    return items


def remap(gateway: Gateway, *, preview: bool, dataset: str | None) -> RemapReport:
    """Goes through the messages that hold current record versions written by another map version."""
    report = RemapReport()
    for message, rows in _outdated(gateway, dataset):
        stored = messages.show(gateway.database, message)
        items = _items(gateway, stored, lambda i: i.row in rows, again=True)  # noqa: B023 - used before the loop goes on
        if not items:
            continue
        source = gateway.source_of(stored.source)
        work = Work(stored.source, source.organisation, message, items, actor="remap", dry=preview)
        answer = gateway.writer.submit(work).result()
        report.records += len(items)
        report.add(answer.changes)
        report.deliveries += answer.deliveries
        report.held += sum(o.state == "held" for o in answer.outcomes)
    return report


def _outdated(gateway: Gateway, dataset: str | None) -> Iterator[tuple[int, set[int]]]:
    """(message, rows) of current versions whose map version is not the present one."""
    v, r = t.record_version, t.record
    query = select(v.c.message, v.c.row, v.c.source, r.c.dataset, v.c.map_version).join(r, r.c.current == v.c.id).order_by(v.c.message)
    if dataset is not None:
        query = query.where(r.c.dataset == dataset)
    with gateway.database.engine.connect() as connection:
        rows = connection.execute(query).all()
    configured = {s.name for s in gateway.config.source}
    found: dict[int, set[int]] = {}
    for message, row, source, name, version in rows:
        if source in configured and gateway.binding(source).profile_of(name).version != version:
            found.setdefault(message, set()).add(row)
    yield from found.items()


def release(gateway: Gateway, hold: int, by: str) -> RecordOutcome:
    """Maps the held record again and writes it, whatever its findings say; of a single result that waits, this result and with it the
    completed report."""
    stored = holds.show(gateway.database, hold)
    if stored.state != "open":
        raise Conflict(f"待处理项 {hold} 已经处理过({stored.state}); 用 `yifang holds show {hold}` 查看结果")
    message = messages.show(gateway.database, stored.message)
    items = _items(gateway, message, lambda i: i.row == stored.row, again=bool(stored.part), released=not stored.part)
    if not items:
        raise Conflict(f"消息 {message.id} 里已找不到待处理项 {hold} 的记录; 请重放该消息")

    for item in items:
        item.parts = frozenset({stored.part} - {""})

    def close(unit: Unit, _applier: Applier) -> None:
        values = [unit.now, by, hold]
        unit.raw.run("UPDATE hold SET state = 'released', decided = ?, decided_by = ?, reason = '' WHERE id = ?", values)

    def apply(unit: Unit, applier: Applier) -> RecordOutcome:
        applier.load(items)
        source = gateway.source_of(message.source)
        outcome = applier.apply(items[0], source=message.source, custodian=source.organisation, message=message.id, actor=by)
        if outcome.state in ("held", "refused"):
            why = "; ".join(f.message for f in outcome.findings if f.severity in ("hold", "refuse"))
            raise Conflict(f"待处理项 {hold} 放行后仍不能写入: {why}")
        if stored.part and (outcome.state == "repeat" or stored.part in {f"{d.type}/{d.id}" for d in items[0].result.withheld}):
            raise Conflict(f"待处理项 {hold} 的结果已有更正, 或映射不再写出它, 不能放行; 用 `yifang holds list` 查看现在待处理的")
        close(unit, applier)
        return outcome

    outcome: RecordOutcome = gateway.writer.submit(Work(message.source, command=apply, actor=by)).result().value
    gateway.writer.submit(Work(message.source, message=message.id, state="?")).result()
    return outcome


def reject(gateway: Gateway, hold: int, by: str, reason: str) -> None:
    """Closes a hold; the record stays as it is kept, unwritten."""
    holds.show(gateway.database, hold)
    holds.decide(gateway.database, hold, "rejected", by, reason, gateway.clock.now())


def link(gateway: Gateway, a: str, b: str, by: str) -> str:
    """Two Patients become one: references of the other's claims point at the survivor."""

    def command(unit: Unit, applier: Applier) -> str:
        first, second = _patient(unit, a), _patient(unit, b)
        survivor = applier.residents.link(first, second)
        _repoint(unit, applier, "link", by)
        return unit.resources[survivor].id

    result: str = gateway.writer.submit(Work(command=command, actor=by)).result().value
    return result


def unlink(gateway: Gateway, patient: str, by: str) -> None:
    """A linked-away Patient stands for its own claims again."""

    def command(unit: Unit, applier: Applier) -> None:
        applier.residents.unlink(_patient(unit, patient))
        _repoint(unit, applier, "unlink", by)

    gateway.writer.submit(Work(command=command, actor=by)).result()


def _patient(unit: Unit, id_: str) -> int:
    unit.load_resources(names=[("Patient", id_)])
    state = unit.by_name.get(("Patient", id_))
    if state is None:
        raise NotFound(f"没有 id 为 {id_} 的居民档案(Patient)")
    return state.rid


def _repoint(unit: Unit, applier: Applier, kind: str, by: str) -> None:
    seq = unit.raw.sequence()
    touched = applier.composer.carry()
    wrote: list[Any] = applier.composer.write_all(sorted(touched), seq=seq, record=None, custodian="")
    unit.event(kind, seq=seq, actor=by, wrote=wrote)
