"""Prometheus figures of the pipeline: per source received, mapped, held, refused, lag; the writer's queue."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.record import Receipt

__all__ = ["Metrics"]

_LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """One registry a gateway; labels are names from the configuration, never patient data."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        r = self.registry
        self.messages = Counter("yifang_messages", "Messages received, by source and what became of them", ["source", "state"], registry=r)
        self.records = Counter("yifang_records", "Records, by source and what became of them", ["source", "state"], registry=r)
        self.resources = Counter("yifang_resource_versions", "Resource versions written, by source", ["source"], registry=r)
        self.findings = Counter("yifang_findings", "Findings, by source and severity", ["source", "severity"], registry=r)
        self.lag = Histogram("yifang_lag_seconds", "Seconds from the arrival of a message to its commit", ["source"], buckets=_LAG, registry=r)
        self.last_word = Gauge("yifang_source_last_word_timestamp_seconds", "When the source last answered", ["source"], registry=r)
        self.silent = Gauge("yifang_source_silent", "1 when the source has said nothing for longer than silent_after", ["source"], registry=r)
        self.backlog = Gauge("yifang_backlog", "Messages acknowledged and not yet mapped, by source", ["source"], registry=r)
        self.waiting = Gauge("yifang_writer_waiting", "Pieces of work that wait for the writer", registry=r)

    def watch(self, waiting: Callable[[], int]) -> None:
        """Takes the length of the writer's queue at every scrape."""
        self.waiting.set_function(waiting)

    def count(self, source: str, receipt: Receipt, seconds: float) -> None:
        """Counts one answered message."""
        self.messages.labels(source, receipt.state).inc()
        self.lag.labels(source).observe(seconds)
        tally = receipt.tally
        for state, n in tally.records.items():
            self.records.labels(source, state).inc(n)
        if tally.resources:
            self.resources.labels(source).inc(tally.resources)
        if receipt.state != "repeat":
            if receipt.reason is not None:
                tally.findings[receipt.reason.severity] += 1
            for severity, n in tally.findings.items():
                self.findings.labels(source, severity).inc(n)
