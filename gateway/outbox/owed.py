"""Owing resources to a destination again, outside any record: a person resumed it, or reconciliation found them missing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gateway.outbox.bundle import Name
from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.settlement import owe, writing

CHUNK = 100


def again(database: Database, destination: str, names: Iterable[Name], now: datetime, *, forget: bool = False) -> None:
    """Adds deliveries of these resources in their lanes. forget: what the destination was known to have of them is forgotten first,
    so that they are sent without If-Match."""
    ordered = sorted(set(names))
    for i in range(0, len(ordered), CHUNK):
        with writing(database) as raw:
            owe(raw, destination, ordered[i : i + CHUNK], micro(now), forget=forget)
