"""`yifang reindex`, a step at a time."""

from __future__ import annotations

from typing import Any

from gateway.commands import command
from gateway.site import Site
from gateway.store import reindex


@command("index.step")
def step(site: Site, *, force: bool = False) -> dict[str, Any]:
    """Indexes some resources anew. done, total: resources; finished. parameters: the site's own search parameters. Without `force`
    nothing is done when the index is as it should be."""
    own = sorted({p.code for p in site.indexer.r4.own})
    if not force and not reindex.outdated(site.database, site.indexer):
        return {"done": 0, "total": 0, "finished": True, "parameters": own}
    progress = reindex.step(site.database, site.indexer)
    return {"done": progress.done, "total": progress.total, "finished": progress.finished, "parameters": own}
