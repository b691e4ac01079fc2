"""Polls the views of one source: new and changed rows, late rows, and on request rows that vanished."""

from __future__ import annotations

import asyncio
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.sqlview.front import Front, Page, ViewFault
from adapters.sqlview.lines import Line, Plan, batch
from adapters.sqlview.options import SqlViewOptions
from adapters.sqlview.position import Key, Position, Seen, dump
from adapters.sqlview.stamp import Stamp, earlier, rendered, spelling_of
from gateway.adapter import Feed
from gateway.errors import Finding, TransientError
from gateway.record import Incoming

__all__ = ["Poller"]

MEDIA_TYPE = "application/x-ndjson"
_DAY = 86_400.0


@dataclass(slots=True)
class _Trouble:
    """A view that failed: how often in a row, until when it rests (loop time), and what was said of it last."""

    times: int = 0
    until: float = 0.0
    said: str = ""


@dataclass(slots=True)
class Poller:
    """State of one source's polling. positions: how far each profile was read, as durable as the last commit."""

    feed: Feed
    options: SqlViewOptions
    front: Front
    plans: Sequence[Plan]
    positions: dict[str, Position]
    troubles: dict[str, _Trouble] = field(default_factory=dict)
    swept: dict[str, float] = field(default_factory=dict)
    unstamped: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Polls until cancelled."""
        while True:
            for plan in self.plans:
                await self._once(plan)
            await asyncio.sleep(self.options.poll)

    async def _once(self, plan: Plan) -> None:
        """One poll of one view; faults are remarked, and the view rests longer each time."""
        now = asyncio.get_running_loop().time()
        trouble = self.troubles.setdefault(plan.name, _Trouble())
        if now < trouble.until:
            return
        try:
            await self._read(plan)
            await self._inspect(plan, now)
        except ViewFault as fault:
            self._rest(plan, trouble, now, fault.finding)
        except TransientError:
            self._rest(plan, trouble, now, None)
        else:
            self.troubles[plan.name] = _Trouble()
            self.feed.intake.alive()

    def _rest(self, plan: Plan, trouble: _Trouble, now: float, finding: Finding | None) -> None:
        trouble.until = now + min(self.options.poll * (1 << min(trouble.times, 16)), self.options.retry_limit)
        trouble.times += 1
        if finding is not None and finding.message != trouble.said:
            self.feed.intake.remark(finding)
            trouble.said = finding.message

    async def _read(self, plan: Plan) -> None:
        """Delivers what is new or changed since the last poll, page by page. Rows that were delivered in the same state are left out."""
        start = self._start(plan)
        after: tuple[Any, ...] | None = None
        while True:
            page: Page = await asyncio.to_thread(self.front.page, plan, start, after)
            await self._deliver(plan, page)
            after = page.after
            if page.last:
                return

    def _start(self, plan: Plan) -> Stamp | None:
        newest = self._position(plan).stamp
        if newest is None:
            return plan.options.since or None
        return earlier(newest, plan.options.lateness)

    def _position(self, plan: Plan) -> Position:
        return self.positions.get(plan.name, Position())

    def _horizon(self, plan: Plan) -> float:
        """How many seconds behind the newest stamp rows are remembered."""
        sweep = self.options.sweep_days * _DAY if self.options.sweep else 0.0
        return max(plan.options.lateness, sweep)

    async def _deliver(self, plan: Plan, page: Page) -> None:
        position = self._position(plan)
        fresh: list[Line] = []
        seen: dict[Key, Seen] = {}
        for line, key, stamp in zip(page.lines, page.keys, page.stamps, strict=True):
            state = Seen(stamp, line.digest())
            known = seen.get(key) or position.seen.get(key)
            if known is None or known.digest != state.digest:
                fresh.append(line)
                seen[key] = state
        if fresh:
            await self._accept(plan, fresh, position.advanced(seen, self._horizon(plan)))

    async def _accept(self, plan: Plan, lines: Sequence[Line], then: Position, findings: tuple[Finding, ...] = ()) -> None:
        """Hands over one batch; the position moves with its commit."""
        after = {**self.positions, plan.name: then}
        incoming = Incoming(
            batch(lines),
            media_type=MEDIA_TYPE,
            name=f"{plan.options.view} {then.stamp or ''}".strip(),
            peer=self.front.place,
            charset="utf-8",
            checkpoint=dump(after),
            findings=findings,
        )
        await self.feed.intake.accept(incoming)
        self.positions = after

    async def _inspect(self, plan: Plan, now: float) -> None:
        """From time to time: rows that cannot be read for want of a stamp, and rows that vanished."""
        if now < self.swept.get(plan.name, 0.0):
            return
        self.swept[plan.name] = now + (self.options.sweep or 3600.0)
        unstamped = await asyncio.to_thread(self.front.unstamped, plan) if plan.options.stamp else 0
        if unstamped and unstamped != self.unstamped.get(plan.name):
            self.feed.intake.remark(_unstamped(plan, unstamped))
        self.unstamped[plan.name] = unstamped
        newest = self._position(plan).stamp
        if isinstance(newest, str) and spelling_of(newest) is None:
            self.feed.intake.remark(_unknown_spelling(plan))
        if self.options.sweep:
            await self._sweep(plan)

    async def _sweep(self, plan: Plan) -> None:
        """Rows that were delivered and are no longer in the view are sent as void, where the profile says how."""
        position = self._position(plan)
        start = earlier(position.stamp, self._horizon(plan)) if position.stamp is not None else None
        present = await asyncio.to_thread(self.front.keys, plan, start)
        gone = [key for key in position.seen if key not in present]
        if gone and start is not None:  # a row may have got an older stamp
            present = await asyncio.to_thread(self.front.keys, plan, None)
            gone = [key for key in gone if key not in present]
        if not gone:
            return
        finding = _vanished(plan, len(gone))
        self.feed.intake.remark(finding)
        for at in range(0, len(gone), self.options.batch):
            part = gone[at : at + self.options.batch]
            then = self._position(plan).advanced({}, self._horizon(plan), part)
            if plan.options.voided:
                await self._accept(plan, [Line(plan.name, [self._void(plan, key, position)], {}) for key in part], then, (finding,))
            else:
                self.positions = {**self.positions, plan.name: then}

    def _void(self, plan: Plan, key: Key, position: Position) -> dict[str, str]:
        """The row of a vanished record: its key, the vendor's mark for void, and the present moment as its stamp."""
        columns = plan.table.key_columns if plan.table.spread else plan.options.key
        mark, _, value = plan.options.voided.partition("=")
        row = dict(zip(columns, key, strict=True)) | {mark: value}
        if plan.options.stamp and position.stamp is not None:
            now = self.feed.clock.now().astimezone(zoneinfo.ZoneInfo(plan.layout.zone))
            stamp = rendered(now, position.stamp)
            row[plan.options.stamp] = _later(stamp, position.stamp)
        return row


def _later(a: Stamp, b: Stamp) -> str:
    """The later of two stamps as text: a clock that runs behind the source's must not make a deletion look old."""
    first, second = (s if isinstance(s, str) else s.isoformat() if hasattr(s, "isoformat") else str(s) for s in (a, b))
    return max(first, second)


def _unstamped(plan: Plan, count: int) -> Finding:
    text = f"视图 {plan.options.view} 有 {count} 行的更新时间列“{plan.options.stamp}”为空, 读取不到。请厂商补上该列的值"
    return Finding("rows-without-stamp", "note", text, source=plan.options.stamp)


def _unknown_spelling(plan: Plan) -> Finding:
    where = f"视图 {plan.options.view} 的更新时间列“{plan.options.stamp}”"
    text = f"{where}的写法无法识别, 晚到的行不会被补读。请厂商改为 2026-01-31 08:00:00 这样的写法, 或改用日期时间类型"
    return Finding("stamp-unreadable", "note", text, source=plan.options.stamp)


def _vanished(plan: Plan, count: int) -> Finding:
    what = "已按作废处理" if plan.options.voided else "未作处理。请在来源配置(sources/*.toml)的 [options] 里写 voided, 或请厂商用作废标志代替删除"
    text = f"视图 {plan.options.view} 有 {count} 行读取过的记录不见了, {what}"
    return Finding("rows-vanished", "note", text, source=plan.options.view)
