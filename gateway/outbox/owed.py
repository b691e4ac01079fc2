"""Owing resources to a destination again, outside any record: a person resumed it, or reconciliation found them missing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gateway.store import unsettled
from gateway.store.database import Database
from gateway.store.deliveries import micro
from gateway.store.names import Name
from gateway.store.settlement import owe, writing

CHUNK = 100
"""Resources in one transaction, so that nobody waits for it long."""


def again(database: Database, destination: str, names: Iterable[Name], now: datetime, *, forget: bool = False) -> None:
    """Adds deliveries of these resources in their lanes. forget: what the destination was known to have or to refuse of them is forgotten
    first, so that they are sent without If-Match, whatever stands there."""
    ordered = sorted(set(names))
    for i in range(0, len(ordered), CHUNK):
        chunk = ordered[i : i + CHUNK]
        with writing(database) as raw:
            if forget:
                unsettled.clear_faults(raw, destination, chunk)
            owe(raw, destination, chunk, micro(now), forget=forget)


def refused(database: Database, destination: str, now: datetime) -> list[Name]:
    """Owes again all that the destination refused, and says what it was; what someone else wrote there stays a conflict."""
    with writing(database) as raw:
        found = unsettled.clear_refused(raw, destination)
        owe(raw, destination, found, micro(now))
    return found
