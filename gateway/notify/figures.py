"""Prometheus figures of Subscriptions: what is owed, how long a receiver has failed, whether it is served."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.clock import Clock
from gateway.store import subscriptions
from gateway.store.database import Database
from gateway.store.deliveries import micro

__all__ = ["Notifications"]


class Notifications(Collector):
    """Reads the rows at every scrape; one sample a Subscription, by its id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Three gauges."""
        now = micro(self.clock.now())
        waiting = _gauge("waiting", "Events that the receiver does not have yet")
        failing = _gauge("failing_seconds", "How long the receiver has failed, 0 when it has not")
        served = _gauge("active", "1 when its receiver is notified, 0 when it is requested, in error or off")
        for s in subscriptions.standings(self.database):
            waiting.add_metric([s.id], float(s.number - s.sent))
            failing.add_metric([s.id], max(0.0, (now - s.failing) / 1_000_000) if s.failing is not None else 0.0)
            served.add_metric([s.id], float(s.state == "active"))
        yield from (waiting, failing, served)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"yifang_subscription_{name}", text, labels=["subscription"])
