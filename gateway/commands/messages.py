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

WHOLE = 4 << 20
"""Files up to this many bytes are read at once, larger ones are streamed."""


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
        content = file.read_bytes() if file.stat().st_size <= WHOLE else (lambda: file.open("rb"))
    except OSError as e:
        raise YifangError(f"{path}: 读不到文件({e.strerror})") from e
    return receipt_view(site.gateway.accept(source, Incoming(content, name=file.name)).result())


@command("messages.list")
def listing(site: Site, *, source: str | None = None, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Messages, newest first."""
    return [summary(m) for m in messages.listing(site.database, source=source or "", state=state or "", limit=limit)]


@command("messages.show")
def show(site: Site, *, message: int) -> dict[str, Any]:
    """One message with its records and findings."""
    found = messages.show(site.database, message)
    records = []
    for outcome, map_version, _ in messages.outcomes(site.database, message):
        records.append({"id": outcome.record, **record_view(outcome), "map_version": map_version})
    reason = [found.reason.as_dict()] if found.reason is not None else []
    return {**summary(found), "findings": reason, "records": records}


@command("messages.content")
def content(site: Site, *, message: int) -> str:
    """The original bytes, base64."""
    messages.show(site.database, message)
    return base64.b64encode(b"".join(messages.content(site.database, message))).decode()


@command("messages.replay")
def replay(site: Site, *, message: int) -> dict[str, Any]:
    """Maps a stored message again with the active maps."""
    return receipt_view(site.gateway.replay(message).result())
