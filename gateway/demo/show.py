"""What the demo shows at its end: a table per source, three stories told from source to FHIR, and the report as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import and_, func, select

from gateway.commands import execute
from gateway.demo.stories import Story
from gateway.site import Site
from gateway.store import resources
from gateway.store.scope import Scope
from gateway.store.tables import contribution, delivered, record, record_version, resource

LINES = 6
"""Lineage lines told of one step."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source's figures, as the report has them."""

    name: str
    adapter: str
    messages: int
    records: int
    resources: int
    findings: int
    held: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one demo. wrong: resources that do not say what truth says, or of another person (they count as lost too)."""

    sources: tuple[SourceRow, ...]
    resources: dict[str, int]
    lost: int
    duplicated: int
    new_versions: int
    seconds: float
    seed: int
    residents: int

    @property
    def passed(self) -> bool:
        """Nothing lost, nothing doubled, and a second run changed nothing."""
        return self.lost == self.duplicated == self.new_versions == 0

    def as_dict(self) -> dict[str, Any]:
        """JSON form of `--report`."""
        return {
            "sources": [asdict(s) for s in self.sources],
            "resources": self.resources,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "second_run": {"new_versions": self.new_versions},
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "residents": self.residents,
        }


def source_rows(site: Site) -> tuple[SourceRow, ...]:
    """Figures of all sources from the store."""
    sent = _delivered(site)
    return tuple(
        SourceRow(s.name, s.adapter, s.messages, s.records, s.resources, s.findings, s.held, sent.get(s.name, 0)) for s in site.gateway.sources()
    )


def _delivered(site: Site) -> dict[str, int]:
    """Source -> current resources that a destination has at their newest version."""
    r, d, c, v, k = resource, delivered, record, record_version, contribution
    there = and_(d.c.type == r.c.type, d.c.id == r.c.id, d.c.version == r.c.version)
    query = (
        select(v.c.source, func.count(r.c.rid.distinct()))
        .select_from(r)
        .join(d, there)
        .join(k, and_(k.c.resource == r.c.rid, k.c.present))
        .join(c, c.c.id == k.c.record)
        .join(v, v.c.id == c.c.current)
        .group_by(v.c.source)
    )
    with site.database.engine.connect() as connection:
        return {name: int(n) for name, n in connection.execute(query)}


def counts(site: Site) -> dict[str, int]:
    """Current resources by type."""
    with site.database.engine.connect() as connection:
        return resources.counts(connection, Scope.all())


def table(console: Console, report: Report) -> None:
    """The table per source."""
    shown = Table(title="来源 / sources", title_justify="left")
    headings = ("来源 source", "适配器", "消息 messages", "记录 records", "资源 resources", "问题 findings", "待核对 held", "已投递 delivered")
    for i, heading in enumerate(headings):
        shown.add_column(heading, justify="left" if i < 2 else "right", overflow="fold")
    for s in report.sources:
        shown.add_row(s.name, s.adapter, *(f"{n:,}" for n in (s.messages, s.records, s.resources, s.findings, s.held, s.delivered)))
    console.print(shown)
    console.print("资源 resources: " + "、".join(f"{t} {n:,}" for t, n in report.resources.items()), soft_wrap=True)
    verdict = f"丢失 lost {report.lost}, 重复 duplicated {report.duplicated}, 重放后新版本 second run new versions {report.new_versions}"
    console.print(f"[{'green' if report.passed else 'red'}]{verdict}[/], {report.seconds:.0f} s", soft_wrap=True)


def tell(console: Console, site: Site, stories: Sequence[Story]) -> None:
    """Each story: its text, then for each step the record, what it wrote, and where a few elements came from."""
    for n, story in enumerate(stories, 1):
        console.rule(f"故事 {n}: {story.title}", align="left")
        console.print(story.text, soft_wrap=True)
        for source, dataset, key in story.steps:
            _step(console, site, source, dataset, key)


def _step(console: Console, site: Site, source: str, dataset: str, key: Sequence[str]) -> None:
    found = _record(site, source, dataset, key)
    if found is None:
        console.print(f"  {source} {dataset} {'/'.join(key)}: 未到达", markup=False)
        return
    explained = execute(site, "map.explain", {"record": found})
    console.print(
        f"  {source} · {dataset} · {'/'.join(key)} (记录 {found}, 消息 {explained['message']} {explained['position']})", markup=False, soft_wrap=True
    )
    told = [line for line in explained["lineage"] if line["origins"]]
    for line in _spread(told):
        origin = line["origins"][0]
        steps = "".join(f" | {f}" for f in line["functions"])
        raw = f"{origin['locator'] or origin['label'] or origin['field']} = {_text(origin['raw'])}"
        console.print(f"    {raw}{steps} → {line['resource'].split('/')[0]}.{line['path']} = {line['result']}", markup=False, soft_wrap=True)
    for finding in explained["findings"]:
        console.print(f"    {finding['severity']}: {finding['message']}", markup=False, soft_wrap=True)


def _text(raw: Any) -> str:
    """A raw value as the sender wrote it: the whole text of a composite, several joined."""
    if isinstance(raw, list):
        return "、".join(_text(x) for x in raw)
    return str(raw.get("", "")) if isinstance(raw, dict) else str(raw)


def _spread(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A few lines, from different resources first."""
    first: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        first.setdefault(line["block"], []).append(line)
    chosen: list[dict[str, Any]] = []
    for depth in range(LINES):
        chosen += [group[-1 - depth] for group in first.values() if len(group) > depth]
    kept = chosen[:LINES]
    return [line for line in lines if line in kept]


def _record(site: Site, source: str, dataset: str, key: Sequence[str]) -> int | None:
    authority = site.config.source_named(source).authority
    r = record
    query = select(r.c.id).where(r.c.authority == authority, r.c.dataset == dataset, r.c.key == "\x1f".join(key))
    with site.database.engine.connect() as connection:
        found: int | None = connection.scalar(query)
    return found
