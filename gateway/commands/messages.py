"""Messages: take a file in, list, show, replay."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from gateway.commands import command
from gateway.errors import YifangError
from gateway.http.receipts import receipt_view, record_view
from gateway.record import Incoming
from gateway.site import Site
from gateway.store import messages
from gateway.store.messages import StoredMessage
from gateway.store.outcomes import counts, outcomes, own_findings

PAGE = 500
"""Records of a message that are told at once."""


def summary(m: StoredMessage) -> dict[str, Any]:
    """One message as JSON."""
    return {
        "id": m.id,
        "source": m.source,
        "name": m.name,
        "received": m.received.isoformat(timespec="seconds"),
        "state": m.state,
        "size": m.size,
        "rows": m.rows,
        "peer": m.peer,
        "media_type": m.media_type,
        "charset": m.charset,
        "digest": m.digest,
    }


@command("ingest")
def ingest(site: Site, *, source: str, path: str) -> dict[str, Any]:
    """Takes a file in as one message of a source and waits for the commit."""
    site.config.source_named(source)
    file = Path(path)
    try:
        file.open("rb").close()
    except OSError as e:
        raise YifangError(f"{path}: 读不到文件({e.strerror})") from e
    return receipt_view(site.gateway.accept(source, Incoming(lambda: file.open("rb"), name=file.name)).result())


@command("messages.list")
def listing(site: Site, *, source: str | None = None, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Messages, newest first."""
    return [summary(m) for m in messages.listing(site.database, source=source or "", state=state or "", limit=limit)]


@command("messages.show")
def show(site: Site, *, message: int) -> dict[str, Any]:
    """One message with its findings, how many records it has by state, and the first page of them (`messages.records`)."""
    found = messages.show(site.database, message)
    reason = [found.reason.as_dict()] if found.reason is not None else []
    own = [f.as_dict() for f in own_findings(site.database, message, PAGE) if f != found.reason]
    return {**summary(found), "findings": reason + own, "counts": counts(site.database, message), **records(site, message=message)}


@command("messages.records")
def records(site: Site, *, message: int, after: int = -1, limit: int = PAGE) -> dict[str, Any]:
    """The records of `limit` rows of a message, those behind row `after`. next: the row to go on after, None when these are the last."""
    page: list[dict[str, Any]] = []
    for r in outcomes(site.database, message, after):
        if len(page) >= limit and r.row != page[-1]["row"]:
            return {"records": page, "next": page[-1]["row"]}
        page.append({"row": r.row, "id": r.outcome.record, **record_view(r.outcome), "map_version": r.map_version})
    return {"records": page, "next": None}


@command("messages.content")
def content(site: Site, *, message: int, chunk: int = 0) -> str | None:
    """One chunk of the original bytes, base64; None behind the last."""
    messages.show(site.database, message)
    found = messages.chunk(site.database, message, chunk)
    return None if found is None else base64.b64encode(found).decode()


@command("messages.replay")
def replay(site: Site, *, message: int) -> dict[str, Any]:
    """Maps a stored message again with the active maps."""
    return receipt_view(site.gateway.replay(message).result())
