"""`yifang demo`: opens a gateway on a folder of its own, lets the county send, judges what came of it against the ground truth, feeds
everything a second time (shuffled, watermarks reset, after a restart), and tells."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy import delete, func, select

from gateway.config import Config, parse
from gateway.demo.scenario import Parcel, Rows, Scenario
from gateway.demo.senders import send
from gateway.demo.show import Report, counts, source_rows, table, tell
from gateway.demo.truth import Verdict
from gateway.errors import TransientError
from gateway.fhir.json import decode
from gateway.log import configure
from gateway.occupancy import occupy
from gateway.outbox.reconcile import reconcile
from gateway.service import Service, serving
from gateway.site import Adapters, Site
from gateway.store import deliveries
from gateway.store.tables import checkpoint, message, record_version, resource, resource_history
from gateway.upstream import FhirServer

QUIET = 2.0
"""Seconds without anything new after which the sources are taken to be empty; longer than any poll of the demo's sources."""
PATIENCE = 900.0
DESTINATION = "upstream"


@dataclass(frozen=True, slots=True)
class Wishes:
    """Options of the command."""

    once: bool
    report: Path | None
    residents: int
    seed: int
    port: int
    destination: str | None
    database: str | None
    data: Path | None


def run(adapters: Adapters, console: Console, wishes: Wishes) -> bool:
    """Runs the demo; True when nothing was lost, doubled or changed by the second run."""
    began = time.monotonic()
    with ExitStack() as stack:
        root = wishes.data
        if root is None:
            root = Path(tempfile.mkdtemp(prefix="yifang-demo-"))
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        root.mkdir(parents=True, exist_ok=True)
        scenario = Scenario(wishes.seed, wishes.residents)
        config = configuration(scenario, root, wishes)
        configure(config.log)
        console.print(
            f"一个虚构的县: {len(scenario.people)} 位居民, {len(scenario.county.institutions)} 家机构, {len(config.source)} 个来源; 数据在 {root}",
            markup=False,
            soft_wrap=True,
        )
        if not config.store.database:
            stack.enter_context(occupy(config.store.data))
        demo = Demo(adapters, console, wishes, root, scenario, config)
        try:
            asyncio.run(demo.play(began))
        except KeyboardInterrupt:
            if demo.report is None:
                raise
        assert demo.report is not None
        return demo.report.passed


def configuration(scenario: Scenario, root: Path, wishes: Wishes) -> Config:
    """The demo's yifang.toml; it is written to the folder too, for people to read."""
    raw: dict[str, Any] = {
        "base": "https://demo.yifang.invalid/fhir",
        "http": {"port": wishes.port},
        "store": {"data": str(root / "store"), **({"database": wishes.database} if wishes.database else {})},
        "log": {"file": str(root / "yifang.log")},
        "source": scenario.sources(root),
    }
    if wishes.destination:
        raw["destination"] = [{"name": DESTINATION, "url": wishes.destination}]
    return parse(raw, root / "yifang.toml")


class Demo:
    """One run: two sessions of the gateway on the same data, and what is told at the end."""

    def __init__(self, adapters: Adapters, console: Console, wishes: Wishes, root: Path, scenario: Scenario, config: Config) -> None:
        self.adapters, self.console, self.wishes = adapters, console, wishes
        self.root, self.scenario, self.config = root, scenario, config
        self.report: Report | None = None

    async def play(self, began: float) -> None:
        """First session, second session, report; serves on afterwards unless `--once`."""
        parcels = self.scenario.parcels()
        site = Site.open(self.config, self.adapters)
        try:
            async with serving(site) as service:
                await self._carry(service, parcels, "第一遍")
            versions = version_count(site)
            forget_checkpoints(site)
        finally:
            site.close()
        again = [p for p in parcels if not isinstance(p.content, Rows)]
        Random(self.wishes.seed + 1).shuffle(again)
        site = Site.open(self.config, self.adapters)
        try:
            async with serving(site) as service:
                await self._carry(service, again, "第二遍")
                self.report = self._judge(site, version_count(site) - versions, time.monotonic() - began)
                self._tell(service, self.report)
                if not self.wishes.once:
                    await asyncio.Event().wait()
        finally:
            site.close()

    async def _carry(self, service: Service, parcels: Sequence[Parcel], title: str) -> None:
        """Sends the parcels over their protocols, waits until the sources are empty and deliveries are done."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True) as progress:
            totals: dict[str, int] = {}
            for parcel in parcels:
                totals[parcel.source] = totals.get(parcel.source, 0) + 1
            bars: dict[str, TaskID] = {s: progress.add_task(f"{title} {s}", total=n) for s, n in totals.items()}
            await listening(service)
            places = {name: place.replace("http:/ingest", f"{service.url}/ingest") for name, place in service.listening.items()}
            await send(parcels, places, self.root, lambda parcel, _answer: progress.advance(bars[parcel.source]))
            await quiet(service.site)
            if self.config.destination:
                await self._delivered(service.site, progress, title)
        state = await asyncio.to_thread(message_count, service.site)
        self.console.print(f"{title}: {len(parcels)} 件已送出, 网关共存 {state} 条消息", markup=False)

    async def _delivered(self, site: Site, progress: Progress, title: str) -> None:
        """Waits until nothing is owed any more. TransientError when the destination paused or nothing moves."""
        first = owed(site)
        bar = progress.add_task(f"{title} 投递", total=first)
        deadline = time.monotonic() + PATIENCE
        while (left := await asyncio.to_thread(owed, site)) > 0:
            progress.update(bar, total=max(first, left), completed=max(first, left) - left)
            paused = [q.paused for q in deliveries.queue(site.database) if q.paused]
            if paused or time.monotonic() > deadline:
                raise TransientError(paused[0] if paused else "目的地没有在时限内收完; 请检查它是否在运行")
            await asyncio.sleep(0.5)

    def _judge(self, site: Site, new_versions: int, seconds: float) -> Report:
        """Counts lost and duplicated against the generator's truth: in the store, and on the destination when there is one."""
        verdict = self.scenario.truth.judge(current(site), self.config.base)
        lost, doubled = set(verdict.lost) | set(verdict.wrong), set(verdict.duplicated)
        if self.config.destination:
            there = self._judge_destination(site)
            lost |= set(there.lost) | set(there.wrong)
            doubled |= set(there.duplicated)
        self._complain(lost, doubled)
        return Report(source_rows(site), counts(site), len(lost), len(doubled), new_versions, seconds, self.wishes.seed, len(self.scenario.people))

    def _judge_destination(self, site: Site) -> Verdict:
        server = FhirServer(self.config.destination[0])
        report = reconcile(site.database, DESTINATION, server, self.config.base)
        found = (body for type_ in counts(site) if type_ != "Binary" for body in server.search(type_, {"_count": "500"}))
        verdict = self.scenario.truth.judge(found, self.config.base)
        missing = [f"{t}/{i} @ {DESTINATION}" for t, i in (*report.lost, *report.different)]
        return Verdict([*verdict.lost, *missing], verdict.duplicated, verdict.wrong)

    def _complain(self, lost: set[str], doubled: set[str]) -> None:
        """Names of what is wrong, a few: business identifiers of invented people."""
        for word, names in (("丢失或不符", lost), ("重复", doubled)):
            for name in sorted(names)[:20]:
                self.console.print(f"  {word}: {name}", markup=False, soft_wrap=True)

    def _tell(self, service: Service, report: Report) -> None:
        table(self.console, report)
        tell(self.console, service.site, self.scenario.stories)
        if self.wishes.report is not None:
            self.wishes.report.write_text(json.dumps(report.as_dict(), ensure_ascii=False, indent=2) + "\n", "utf-8")
            self.console.print(f"报告写在 {self.wishes.report}", markup=False, soft_wrap=True)
        if not self.wishes.once:
            self.console.print(
                f"网关在运行: {service.url}/fhir (Ctrl-C 结束), 例如 {service.url}/fhir/Patient?_count=5", markup=False, soft_wrap=True
            )


async def listening(service: Service) -> None:
    """Waits until every source listens."""
    deadline = time.monotonic() + 60
    while reasons := await asyncio.to_thread(service.reasons):
        if time.monotonic() > deadline:
            raise TransientError("; ".join(reasons))
        await asyncio.sleep(0.05)


async def quiet(site: Site) -> None:
    """Waits until nothing new came for a while and nothing is half done."""
    last, since = (-1, -1), time.monotonic()
    deadline = since + PATIENCE
    while time.monotonic() - since < QUIET:
        now = await asyncio.to_thread(progress_of, site)
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise TransientError("来源没有在时限内停下来")
        await asyncio.sleep(0.1)


def progress_of(site: Site) -> tuple[int, int]:
    """Newest message and record version, minus what is still in work, so that a busy gateway is never quiet."""
    with site.database.engine.connect() as c:
        busy = c.scalar(select(func.count()).select_from(message).where(message.c.state == "processing")) or 0
        newest = c.scalar(select(func.max(record_version.c.id))) or 0
        repeats = c.scalar(select(func.sum(message.c.repeats) + func.count())) or 0
    if busy or site.gateway.writer.waiting:
        return newest, -int(time.monotonic() * 10)
    return newest, int(repeats)


def message_count(site: Site) -> int:
    """Messages kept."""
    with site.database.engine.connect() as c:
        return c.scalar(select(func.count()).select_from(message)) or 0


def version_count(site: Site) -> int:
    """Resource versions ever written."""
    with site.database.engine.connect() as c:
        return sum(c.scalar(select(func.count()).select_from(t)) or 0 for t in (resource, resource_history))


def forget_checkpoints(site: Site) -> None:
    """Resets all watermarks: sources that poll start from the beginning."""
    with site.database.engine.begin() as c:
        c.execute(delete(checkpoint))


def owed(site: Site) -> int:
    """Deliveries not done."""
    return sum(q.waiting for q in deliveries.queue(site.database))


def current(site: Site) -> Iterator[dict[str, Any]]:
    """All living resources, a page at a time."""
    last = -1
    while True:
        with site.database.engine.connect() as c:
            query = select(resource.c.rid, resource.c.content).where(resource.c.rid > last, ~resource.c.deleted)
            rows = c.execute(query.order_by(resource.c.rid).limit(1000)).all()
        if not rows:
            return
        last = rows[-1].rid
        yield from (decode(bytes(row.content)) for row in rows)
