"""One message from bytes to receipt: small ones in one commit, large ones stored first and mapped in batches."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import structlog

from gateway.config import SourceConfig
from gateway.errors import Finding, Refused
from gateway.mapping.compile import MapContext
from gateway.pipeline.binding import Binding
from gateway.pipeline.listing import Listing
from gateway.record import RELEASED, Incoming, MapResult, Receipt, Record, RecordOutcome, Row
from gateway.store import messages
from gateway.store.apply import Applier
from gateway.store.database import Database
from gateway.store.messages import StoredMessage
from gateway.store.outcomes import outcomes
from gateway.store.unit import Unit
from gateway.store.work import Answer, Item, NewMessage, Work
from gateway.store.writer import Writer

__all__ = ["BATCH", "Ingest"]

BATCH = 200
"""Rows of a large message that are mapped and committed together."""
AHEAD = 2
"""Batches that may wait for the writer while the next is mapped."""
AT_ONCE = 1000
"""Records of a message that are mapped and committed at once. One of more is stored first and then mapped in batches, however small its
file is: a workbook of one megabyte may hold a hundred thousand rows."""

log = structlog.get_logger()


class Ingest:
    """Takes messages of one source with one binding. Raises TransientError when a message could not be stored."""

    def __init__(self, source: SourceConfig, binding: Binding, context: MapContext, database: Database, writer: Writer, chunk: int) -> None:
        self.source = source
        self.binding = binding
        self.context = context
        self.database = database
        self.writer = writer
        self.chunk = chunk

    def take(self, incoming: Incoming, ahead: NewMessage | None = None) -> Future[Receipt]:
        """Stores, maps and hands over one message; the future is done after its commit. A small message is not waited for, so that the
        messages of one source share commits; the writer keeps the order in which they were handed over. ahead: the message, when it is
        stored ahead of its records."""
        content = incoming.content if isinstance(incoming.content, bytes) else self._read(incoming.content)
        if content is not None:
            return self._small(incoming, content, ahead)
        return _done(self._large(incoming))

    def _read(self, open_: object) -> bytes | None:
        """A file's bytes when it fits one chunk, else None."""
        assert callable(open_)
        with open_() as stream:
            head: bytes = stream.read(self.chunk + 1)
        return head if len(head) <= self.chunk else None

    def _message(self, incoming: Incoming, digest: str, size: int, chunks: Sequence[bytes]) -> NewMessage:
        return NewMessage(
            self.source.name, incoming.name, incoming.peer, incoming.media_type, incoming.charset, digest, size, chunks, reason=incoming.refused
        )

    def _small(self, incoming: Incoming, content: bytes, ahead: NewMessage | None) -> Future[Receipt]:
        chunks = [content[i : i + self.chunk] for i in range(0, len(content), self.chunk)]
        message = ahead or self._message(incoming, hashlib.sha256(content).hexdigest(), len(content), chunks)
        findings = list(incoming.findings)
        items: list[Item] = []
        if incoming.refused is not None:
            message.state = "refused"
        else:
            most = AT_ONCE + 1 if ahead is None or ahead.stored else None
            try:
                items = list(itertools.islice(self.items(self.binding.extract(content), findings), most))
            except Refused as e:
                message.state, message.reason, items = "refused", e.finding, []
            except Exception as e:
                message.state, message.reason, items = "failed", crashed(e), []
            if len(items) == most:
                del items
                return _done(self._anew_in_batches(incoming, content, ahead))
        if findings and findings[-1].code == "record-crash" and not message.state:
            message.state, message.reason = "failed", findings[-1]
        work = self._work(message, items, checkpoint=incoming.checkpoint, findings=findings)
        told: Future[Receipt] = Future()

        def answered(written: Future[Answer]) -> None:
            try:
                answer = written.result()
                listing = Listing()
                listing.add(answer.outcomes)
                told.set_result(_told(answer, listing, message.reason))
            except Exception as e:  # the writer's own faults (TransientError) among them
                told.set_exception(e)

        self.writer.submit(work).add_done_callback(answered)
        return told

    def _anew_in_batches(self, incoming: Incoming, content: bytes, ahead: NewMessage | None) -> Receipt:
        if ahead is not None:
            return self.process(messages.show(self.database, ahead.stored))
        return self._large(replace(incoming, content=partial(io.BytesIO, content)))

    def _large(self, incoming: Incoming) -> Receipt:
        """Stores a large message in chunks as it is read, then maps it in batches; each batch remembers how far it came."""
        assert callable(incoming.content)
        with incoming.content() as stream:
            digest, size, pieces = hashlib.sha256(), 0, 0
            stored = None
            while chunk := stream.read(self.chunk):
                digest.update(chunk)
                size += len(chunk)
                stored = self._store_chunk(incoming, stored, pieces, chunk)
                pieces += 1
        assert stored is not None
        repeat = messages.find_repeat(self.database, self.source.name, digest.hexdigest())
        known = self._known(repeat) if repeat is not None else None
        state = "refused" if incoming.refused is not None else "processing"

        def name(unit: Unit, _applier: Applier) -> None:
            raw = unit.raw
            if known is not None and repeat is not None:
                raw.run("DELETE FROM message_chunk WHERE message = ?", [stored])
                raw.run("DELETE FROM message WHERE id = ?", [stored])
                raw.run("UPDATE message SET repeats = repeats + 1 WHERE id = ?", [repeat.id])
            else:
                raw.run("UPDATE message SET digest = ?, size = ?, state = ? WHERE id = ?", [digest.hexdigest(), size, state, stored])

        self.writer.submit(Work(self.source.name, findings=incoming.findings, command=name)).result()
        if known is not None and repeat is not None:
            self._checkpoint(incoming)
            return Receipt(repeat.id, "repeat", known.outcomes, repeat.reason, known.rest)
        if incoming.refused is not None:
            self._checkpoint(incoming)
            return Receipt(stored, "refused", [], incoming.refused)
        receipt = self.process(messages.show(self.database, stored))
        self._checkpoint(incoming)
        return receipt

    def _checkpoint(self, incoming: Incoming) -> None:
        if incoming.checkpoint is not None:
            self.writer.submit(Work(self.source.name, checkpoint=incoming.checkpoint)).result()

    def _store_chunk(self, incoming: Incoming, stored: int | None, n: int, chunk: bytes) -> int:
        if stored is None:
            message = self._message(incoming, "", 0, [chunk])
            message.state = "stored"
            return self.writer.submit(Work(self.source.name, message=message, rows=0)).result().message

        def append(unit: Unit, _applier: Applier) -> None:
            unit.chunks.append((stored, n, chunk))

        self.writer.submit(Work(self.source.name, command=append)).result()
        return stored

    def _known(self, repeat: StoredMessage) -> Listing | None:
        """The first outcome of a message that is repeated whole, when mapping it again cannot change anything; else None."""
        if not repeat.fresh or repeat.state not in ("mapped", "held", "partly"):
            return None
        listing, rows = Listing(), 0
        for found in outcomes(self.database, repeat.id):
            if not found.settled or found.map_version != self.binding.profile_of(found.outcome.dataset).version:
                return None
            found.outcome.state = "repeat"
            listing.add([found.outcome])
            rows += 1
        return listing if rows == repeat.rows else None

    def process(self, message: StoredMessage, *, again: bool = False, released: frozenset[int] = frozenset(),
                heed: Callable[[Sequence[RecordOutcome]], None] = lambda outcomes: None) -> Receipt:  # fmt: skip
        """Maps a stored message from the row it has reached (from its first with `again`). released: rows that a person let pass. heed: is
        told every outcome, batch by batch; the receipt lists only some of very many."""
        start = 0 if again else message.rows
        listing = Listing()
        findings: list[Finding] = []
        reason: Finding | None = None
        waiting: deque[Future[Answer]] = deque()

        def written() -> None:
            done = waiting.popleft().result().outcomes
            listing.add(done)
            heed(done)

        content = messages.opened(self.database, message, self.chunk)
        row = start
        try:
            rows = self.binding.extract(content)
            for batch in _batches(self.items(itertools.islice(rows, start, None), findings, start, again=again, released=released)):
                row += len(batch)
                waiting.append(self.writer.submit(self._work(message.id, batch, rows=row, actor="replay" if again else "")))
                if len(waiting) > AHEAD:
                    written()
        except Refused as e:
            reason = e.finding
        except Exception as e:
            if type(e).__name__ == "TransientError":
                raise
            reason = crashed(e)
        while waiting:
            written()
        state = "?" if reason is None else "refused" if reason.severity == "refuse" else "failed"
        if findings and findings[-1].code == "record-crash" and reason is None:
            reason, state = findings[-1], "failed"
        answer = self.writer.submit(self._work(message.id, [], rows=row, state=state, findings=findings)).result()
        if isinstance(content, io.IOBase):
            content.close()
        return _told(answer, listing, reason)

    def items(self, rows: Iterable[Row], findings: list[Finding], start: int = 0, *, again: bool = False, released: frozenset[int] = frozenset()
              ) -> Iterator[Item]:  # fmt: skip
        """Records with what the map makes of them. A map that crashes on one record holds that record; a row that cannot even be made a
        record is a finding of the message, the rest goes on."""
        for n, row in enumerate(rows, start):
            try:
                record = self.binding.record(row)
            except Exception as e:
                findings.append(crashed(e, row.position))
                continue
            profile = self.binding.profile_of(record.dataset)
            try:
                result = self.binding.map(record, self.context)
            except Exception as e:
                log.error("map_crashed", dataset=record.dataset, exc_info=e)
                text = f"映射程序在这条记录上出错({type(e).__name__}), 未写入; 请把该消息编号交给维护人员, 修正后重放"
                result = MapResult([], [], [Finding("map-crash", "hold", text)])
            anew = partial(self._anew, record) if result.withheld else None
            yield Item(record, result, profile.mode, profile.version, n, again=again, released=n in released, anew=anew)

    def _anew(self, record: Record, parts: frozenset[str]) -> MapResult:
        """The record mapped with these results let pass; when all of them are, what was said of their limits is a remark only."""
        record.fields[RELEASED] = parts
        result = self.binding.map(record, self.context)
        if not result.withheld:
            result.findings = [_passed(f) for f in result.findings]
        return result

    def _work(self, message: NewMessage | int, items: list[Item], *, rows: int | None = None, state: str = "", checkpoint: str | None = None,
              findings: Sequence[Finding] = (), actor: str = "") -> Work:  # fmt: skip
        return Work(self.source.name, self.source.organisation, message, items, state, rows, findings, checkpoint, actor)


def _told(answer: Answer, listing: Listing, reason: Finding | None) -> Receipt:
    """What the sender is told: repeat when every record was one; a failed message is `stored`, to be mapped by replay."""
    if listing.repeated:
        state = "repeat"
    elif answer.state in ("failed", "stored", "processing"):
        state = "stored"
    else:
        state = answer.state
    return Receipt(answer.message, state, listing.outcomes, reason or listing.reason, listing.rest)


def _done(receipt: Receipt) -> Future[Receipt]:
    done: Future[Receipt] = Future()
    done.set_result(receipt)
    return done


def crashed(fault: Exception, position: str = "") -> Finding:
    """A bug, as a finding of the message; its text never holds the fault's own, which may quote patient data."""
    log.error("message_crashed", exc_info=fault)
    where = f"({position})" if position else ""
    text = f"读取消息{where}时程序出错({type(fault).__name__}), 原文已保存, 未写入; 请把消息编号交给维护人员, 修正后用 `yifang messages replay` 重放"
    return Finding("record-crash" if position else "extract-crash", "hold", text)


def _passed(finding: Finding) -> Finding:
    if finding.code != "impossible-value" or finding.severity != "drop":
        return finding
    return replace(finding, severity="note", message=finding.message + " (已由人核对放行, 照写)")


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(itertools.islice(items, BATCH)):
        yield batch
