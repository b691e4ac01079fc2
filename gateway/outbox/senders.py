"""The senders of all destinations at work, each with the threads that its configuration names."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.clock import Clock
from gateway.config import DestinationConfig
from gateway.outbox.sender import Sender
from gateway.store.database import Database
from gateway.upstream import FhirServer


@contextmanager
def sending(database: Database, destinations: Sequence[DestinationConfig], base: str, clock: Clock) -> Iterator[None]:
    """Delivers as long as the block lasts; its end waits for the rounds in work."""
    stop = threading.Event()
    senders: list[Sender] = []
    threads: list[threading.Thread] = []
    for destination in destinations:
        sender = Sender(database, destination, FhirServer(destination), base, clock)
        senders.append(sender)
        for n in range(destination.parallel):
            threads.append(threading.Thread(target=sender.run, args=(stop, str(n)), name=f"outbox-{destination.name}-{n}"))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for sender in senders:
            sender.wake()
        for thread in threads:
            thread.join()
