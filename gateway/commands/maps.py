"""Maps on a site: explain a record, put a changed set into effect, map current records again, volumes for coverage."""

from __future__ import annotations

from typing import Any

from gateway.commands import command
from gateway.errors import MapError
from gateway.mapping.activation import verdict
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.site import Site, folder_files
from gateway.store import map_sets


@command("map.explain")
def explain(site: Site, *, record: int) -> dict[str, Any]:
    """Lineage of every element that a record's current version writes."""
    found = site.gateway.explain(record)
    return {
        "record": record,
        "dataset": found.record.dataset,
        "position": found.record.position,
        "findings": [f.as_dict() for f in found.result.findings],
        "lineage": [line.as_dict() for line in found.lineage],
    }


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
