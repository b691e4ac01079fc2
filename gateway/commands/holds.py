"""Holds: what waits for a person, and the decision. Residents: link and unlink."""

from __future__ import annotations

from typing import Any

from gateway.commands import command
from gateway.http.receipts import record_view
from gateway.site import Site
from gateway.store import holds
from gateway.store.holds import StoredHold


def view(hold: StoredHold) -> dict[str, Any]:
    """One hold as JSON."""
    findings = [f for f in hold.sides.get("came", {}).get("findings", []) if f.get("severity") == "hold"]
    return {
        "id": hold.id,
        "source": hold.source,
        "dataset": hold.dataset,
        "key": list(hold.key),
        "record": hold.record,
        "message": hold.message,
        "position": hold.position,
        "part": hold.part,
        "code": hold.code,
        "state": hold.state,
        "text": "；".join(f["message"] for f in findings),
        "opened": hold.opened.isoformat(timespec="seconds"),
        "decided": hold.decided.isoformat(timespec="seconds") if hold.decided else None,
        "decided_by": hold.decided_by,
        "reason": hold.reason,
    }


@command("holds.list")
def listing(site: Site, *, state: str = "open", limit: int = 50) -> list[dict[str, Any]]:
    """Holds in a state, newest first."""
    return [view(h) for h in holds.listing(site.database, state=state, limit=limit)]


@command("holds.show")
def show(site: Site, *, hold: int) -> dict[str, Any]:
    """Both sides of a hold."""
    found = holds.show(site.database, hold)
    return {**view(found), "sides": found.sides}


@command("holds.release")
def release(site: Site, *, hold: int, by: str) -> dict[str, Any]:
    """Writes what came."""
    return record_view(site.gateway.release(hold, by))


@command("holds.reject")
def reject(site: Site, *, hold: int, by: str, reason: str) -> dict[str, Any]:
    """Keeps what came and never writes it."""
    site.gateway.reject(hold, by, reason)
    return view(holds.show(site.database, hold))


@command("residents.link")
def link(site: Site, *, first: str, second: str, by: str) -> dict[str, Any]:
    """Makes two Patients one person."""
    survivor = site.gateway.link(first.removeprefix("Patient/"), second.removeprefix("Patient/"), by)
    return {"survivor": survivor}


@command("residents.unlink")
def unlink(site: Site, *, patient: str, by: str) -> dict[str, Any]:
    """Takes a linked Patient apart again."""
    site.gateway.unlink(patient.removeprefix("Patient/"), by)
    return {"patient": patient, "state": "unlinked"}
