"""A county filled through the real pipeline, a server with HAPI's habits, and a sender between them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request

from gateway.config import DestinationConfig
from gateway.outbox.reconcile import Reconciliation, reconcile
from gateway.outbox.sender import Sender
from gateway.store import deliveries
from gateway.upstream import FhirServer
from tests.outbox.server import Server
from tests.records.county import County, form


class Town:
    """A county, a server with HAPI's habits, and a sender between them."""

    def __init__(self, county: County, httpserver: HTTPServer) -> None:
        self.county = county
        self.server = Server(httpserver)
        self.sender = self.another()

    def another(self, **settings: Any) -> Sender:
        """A sender of a process that starts now."""
        destination = DestinationConfig.model_validate({"name": "hapi", "url": self.server.url, "timeout": 2, **settings})
        server = FhirServer(destination, self.county.clock.now)
        return Sender(self.county.database, destination, server, self.county.config.base, self.county.clock, lambda: 0.5)

    def send(self, key: str, stamp: str, *drafts: dict[str, Any], person: str = "") -> None:
        more = {"person": {"local": [person]}} if person else {}
        self.county.send(form(key, stamp, drafts, **more))

    def drain(self, sender: Sender | None = None, seconds: float = 1) -> None:
        """Steps until nothing is due for some seconds."""
        for _ in range(60):
            if not (sender or self.sender).step():
                self.county.clock.advance(timedelta(seconds=seconds))
                if not (sender or self.sender).step():
                    return
        raise AssertionError("deliveries do not come to an end")

    def id(self, type_: str, value: str) -> str:
        return self.county.gateway.context.ids.derive(type_, "x", [value])

    def url(self, type_: str, value: str) -> str:
        return f"{type_}/{self.id(type_, value)}"

    def report(self) -> Reconciliation:
        return reconcile(self.county.database, "hapi", self.sender.server, self.county.config.base)

    def whole(self, held: int) -> None:
        """Everything is there, once and as it is here."""
        report = self.report()
        assert (report.lost, report.different, report.waiting, report.unsettled) == ([], [], 0, 0)
        assert (report.equal, report.held) == (held, held)

    def faults(self) -> list[tuple[Any, ...]]:
        return self.county.rows("SELECT kind, error FROM delivery_fault")

    def waiting(self) -> int:
        return sum(q.waiting for q in deliveries.queue(self.county.database))


def bundle_of(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.data)
    return body
