"""Prometheus figures of deliveries: per destination queue, age of the oldest, refused resources, pause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from gateway.clock import Clock
from gateway.store import deliveries
from gateway.store.database import Database
from gateway.store.tables import delivery_fault, delivery_lane


class Outbox(Collector):
    """Reads the queue at every scrape."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Four gauges, one sample a destination."""
        now = self.clock.now()
        queues = deliveries.queue(self.database)
        yield _gauge("queue", "Deliveries owed", ((q.destination, q.waiting) for q in queues))
        ages = ((q.destination, (now - q.oldest).total_seconds() if q.oldest else 0.0) for q in queues)
        yield _gauge("age_seconds", "Age of the oldest delivery owed", ages)
        yield _gauge("paused", "1 when the destination waits for a person", ((q.destination, float(q.paused is not None)) for q in queues))
        lane = delivery_lane
        with self.database.engine.connect() as c:
            faults = [(r[0], r[1]) for r in c.execute(select(delivery_fault.c.destination, func.count()).group_by(delivery_fault.c.destination))]
            tries = [(r[0], r[1]) for r in c.execute(select(lane.c.destination, func.sum(lane.c.attempts)).group_by(lane.c.destination))]
        yield _gauge("refused", "Resources that the destination refused", faults)
        yield _gauge("failures", "Attempts in a row that failed, over all lanes", tries)


def _gauge(name: str, text: str, samples: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"yifang_delivery_{name}", text, labels=["destination"])
    for destination, value in samples:
        family.add_metric([destination], float(value))
    return family
