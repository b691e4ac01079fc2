"""Maps on a site: explain a record, put a changed set into effect, map current records again, volumes for coverage."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import select

from gateway.commands import command
from gateway.errors import MapError, NotFound
from gateway.fhir.json import encode
from gateway.mapping.activation import verdict
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.mapping.persons import portable_reference
from gateway.site import Site, folder_files
from gateway.store import map_sets, messages, tables


@command("map.explain")
def explain(site: Site, *, record: int | None = None) -> dict[str, Any]:
    """Lineage of every element that a record's current version writes (of its newest one while every version is held). No record
    named: the one that came last."""
    record = _last(site) if record is None else record
    message, row = _place(site, record)
    stored = messages.show(site.database, message)
    binding = site.gateway.binding(stored.source)
    content = messages.opened(site.database, stored, site.config.store.chunk)
    found = binding.record(next(itertools.islice(binding.extract(content), row, None)))
    result, lineage = binding.explain(found, site.gateway.context)
    for claim in result.claims:  # the writer would find or make the Patient; nothing is written here
        if claim.numbers:
            claim.reference |= {"type": "Patient", "reference": portable_reference(found.authority, claim.numbers[0])}
    return {
        "record": record,
        "message": message,
        "dataset": found.dataset,
        "position": found.position,
        "findings": [f.as_dict() for f in result.findings],
        "lineage": [_plain(line.as_dict()) for line in lineage],
    }


def _last(site: Site) -> int:
    """The record whose newest version came last; NotFound when there is none yet."""
    v = tables.record_version.c
    with site.database.engine.connect() as connection:
        found = connection.scalar(select(v.record).order_by(v.id.desc()).limit(1))
    if found is None:
        raise NotFound("还没有任何记录; 先用 `yifang ingest 来源 文件` 收一个")
    return int(found)


def _place(site: Site, record: int) -> tuple[int, int]:
    """Message and row of a record's version; NotFound when there is no such record."""
    r, v = tables.record, tables.record_version
    query = select(v.c.message, v.c.row).join(r, r.c.id == v.c.record).where(r.c.id == record)
    with site.database.engine.connect() as connection:
        found = connection.execute(query.order_by((v.c.id == r.c.current).desc(), v.c.number.desc()).limit(1)).first()
    if found is None:
        raise NotFound(f"没有编号为 {record} 的记录; 用 `yifang messages show 消息` 查看记录编号")
    return int(found[0]), int(found[1])


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    """The result as text, so that decimals keep their digits on the way to a screen."""
    result = line["result"]
    return {**line, "result": result if isinstance(result, str) else encode(result).decode()}


@command("map.activate")
def activate(site: Site) -> dict[str, Any]:
    """Checks the folders' files and runs their goldens; MapError with every fault when they do not pass, and nothing changes."""
    files = folder_files(site.config)
    active = map_sets.active(site.database)
    before = Catalogue(MapFiles.from_snapshot(active), site.adapters) if active is not None else None
    if before is not None and before.version == files.digest:
        return {"version": files.digest, "state": "unchanged"}
    after = Catalogue(files, site.adapters)
    found = verdict(after, before)
    if not found.passes:
        raise MapError(found.lines())
    for source in site.config.source:
        after.bind(source)
    site.gateway.activate(files.snapshot(), files.digest, after)
    return {"version": files.digest, "state": "active", "next": "运行 `yifang map remap --preview` 查看现有记录会有什么变化"}


@command("map.remap")
def remap(site: Site, *, preview: bool = False, dataset: str | None = None) -> dict[str, Any]:
    """Maps current records again; `preview` only tells what would change."""
    report = site.gateway.remap(preview=preview, dataset=dataset)
    parts = {name: [f"{t}/{i}" for t, i in getattr(report, name)] for name in ("created", "updated", "vanished")}
    return {
        "preview": preview,
        "deliveries": report.deliveries,
        **{k: len(v) for k, v in parts.items()},
        "resources": {k: v[:100] for k, v in parts.items()},
    }


@command("map.volumes")
def volumes(site: Site) -> list[dict[str, Any]]:
    """Findings about codes without translation, by source column and message, with how often they stand on current records."""
    return map_sets.untranslated(site.database)
