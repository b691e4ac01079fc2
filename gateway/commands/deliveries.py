"""Deliveries: queues, resume, reconcile."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from gateway.commands import command
from gateway.config import DestinationConfig
from gateway.errors import ConfigError
from gateway.outbox import owed
from gateway.outbox.reconcile import reconcile
from gateway.site import Site
from gateway.store import deliveries
from gateway.store.tables import delivery_fault, delivery_wait
from gateway.upstream import FhirServer


def destination(site: Site, name: str) -> DestinationConfig:
    """A configured destination; ConfigError when there is none of that name."""
    found = next((d for d in site.config.destination if d.name == name), None)
    if found is None:
        known = "、".join(d.name for d in site.config.destination) or "(无)"
        raise ConfigError(f"yifang.toml 里没有名为 {name} 的 [[destination]]; 已有: {known}")
    return found


@command("deliveries.list")
def listing(site: Site) -> list[dict[str, Any]]:
    """Every destination: what is owed, since when, what was refused, what waits for a target, whether it is paused."""
    queues = {q.destination: q for q in deliveries.queue(site.database)}
    with site.database.engine.connect() as c:
        count = func.count()
        faults: dict[str, int] = dict(c.execute(select(delivery_fault.c.destination, count).group_by(delivery_fault.c.destination)).all())
        waits: dict[str, int] = dict(c.execute(select(delivery_wait.c.destination, count).group_by(delivery_wait.c.destination)).all())
    views = []
    for name in dict.fromkeys([*(d.name for d in site.config.destination), *queues]):
        queue = queues.get(name)
        paused = queue.paused if queue is not None else None
        views.append(
            {
                "destination": name,
                "state": "paused" if paused else "running",
                "waiting": queue.waiting if queue else 0,
                "oldest": queue.oldest.isoformat(timespec="seconds") if queue and queue.oldest else None,
                "refused": faults.get(name, 0),
                "unresolved": waits.get(name, 0),
                "reason": paused or "",
            }
        )
    return views


@command("deliveries.resume")
def resume(site: Site, *, destination: str) -> dict[str, Any]:
    """Goes on with a destination, and owes again what it refused."""
    known = _named(site, destination)
    again = owed.refused(site.database, known.name, site.clock.now())
    deliveries.resume(site.database, known.name, site.clock.now())
    return {"destination": known.name, "state": "running", "again": len(again)}


_named = destination


@command("deliveries.reconcile")
def reconciled(site: Site, *, destination: str | None = None, resend: bool = False) -> list[dict[str, Any]]:
    """Compares both sides of one destination or of all."""
    chosen = [_named(site, destination)] if destination else site.config.destination
    views = []
    for config in chosen:
        report = reconcile(site.database, config.name, FhirServer(config), site.config.base)
        again = [*report.lost, *report.different] if resend else []
        owed.again(site.database, config.name, again, site.clock.now(), forget=True)
        names = {key: [f"{t}/{i}" for t, i in getattr(report, key)[:100]] for key in ("lost", "different")}
        counts = {key: getattr(report, key) for key in ("held", "equal", "waiting", "unsettled")}
        views.append(
            {"destination": config.name, **counts, "lost": len(report.lost), "different": len(report.different), "resent": len(again), "names": names}
        )
    return views
