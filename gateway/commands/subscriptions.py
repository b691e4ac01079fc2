"""Subscriptions: how each stands, and asking for one anew."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.commands import command
from gateway.errors import NotFound
from gateway.fhir.json import decode
from gateway.notify.notifier import Notifier
from gateway.site import Site
from gateway.store import subscriptions
from gateway.store.scope import Scope
from gateway.store.subscriptions import Standing


@command("subscriptions.list")
def listing(site: Site) -> list[dict[str, Any]]:
    """Every Subscription that was taken up: its state, its receiver, what it is owed, why it is not served."""
    return [_view(site, s) for s in subscriptions.standings(site.database)]


def _view(site: Site, s: Standing) -> dict[str, Any]:
    found = subscriptions.words(site.database, s.id, Scope.all())
    body = decode(found[1]) if found is not None else {}
    return {
        "id": s.id,
        "state": s.state if found is not None else "deleted",
        "topic": body.get("criteria", ""),
        "endpoint": str(body.get("channel", {}).get("endpoint", "")).partition("?")[0],
        "client": s.caller,
        "events": s.number,
        "waiting": s.number - s.sent,
        "failing": _time(s.failing),
        "attempts": s.attempts,
        "reason": s.error or "",
    }


def _time(value: int | None) -> str | None:
    return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC).isoformat(timespec="seconds")


@command("subscriptions.restart")
def restart(site: Site, *, subscription: str) -> dict[str, Any]:
    """Asks for a Subscription anew: handshake, then what it is owed. NotFound when there is none."""
    id_ = subscription.removeprefix("Subscription/")
    if not Notifier(site.database, site.config, site.gateway.writer.submit, site.clock).restart(id_):
        raise NotFound(f"没有 Subscription/{id_[:64]}; 用 `yifang subscriptions` 查看已有的")
    return {"id": id_, "state": "requested"}
