"""A site behind its HTTP application, a notifier, and a receiver that keeps what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from gateway.cli.context import adapters
from gateway.clock import SetClock
from gateway.config import parse
from gateway.http.app import create_app
from gateway.notify.notifier import Notifier
from gateway.site import Site
from tests.http.conftest import Front

START = datetime(2026, 4, 1, 8, tzinfo=UTC)
BASE = "https://yifang.invalid/fhir"
GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TOPIC = f"{BASE}/SubscriptionTopic/"


class Receiver:
    """A rest-hook. answer: status and headers of the next answers; 200 unless it is set. down: it does not take anything."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.url = server.url_for("/hook/results")
        self.bundles: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.refused = 0
        self.answer: tuple[int, dict[str, str]] = (200, {})
        self.before: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        server.expect_request("/hook/results", method="POST").respond_with_handler(self._handle)

    def _handle(self, request: Request) -> Response:
        self.before()
        status, headers = self.answer
        with self._lock:
            if status >= 300:
                self.refused += 1
            else:
                self.requests.append(request)
                self.bundles.append(json.loads(request.data))
        return Response(status=status, headers=headers)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Bundles of one kind."""
        return [b for b in self.bundles if value(b, "type") == kind]

    @property
    def numbers(self) -> list[int]:
        """Event numbers in the order in which they came."""
        return [n for b in self.told("event-notification") for n in numbers(b)]

    @property
    def focuses(self) -> list[str]:
        """What the events were about, as `Type/id`."""
        return [f.removeprefix(BASE + "/") for b in self.told("event-notification") for f in focuses(b)]


def parameters(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bundle["entry"][0]["resource"]["parameter"]
    return found


def value(bundle: dict[str, Any], name: str) -> Any:
    """The value of the status parameter of this name."""
    for p in parameters(bundle):
        if p["name"] == name:
            return next(v for k, v in p.items() if k.startswith("value"))
    return None


def parts(bundle: dict[str, Any], name: str) -> list[Any]:
    events = [p["part"] for p in parameters(bundle) if p["name"] == "notification-event"]
    return [next(v for k, v in part.items() if k.startswith("value")) for event in events for part in event if part["name"] == name]


def numbers(bundle: dict[str, Any]) -> list[int]:
    return [int(n) for n in parts(bundle, "event-number")]


def focuses(bundle: dict[str, Any]) -> list[str]:
    return [f["reference"] for f in parts(bundle, "focus")]


def subscription(endpoint: str, topic: str = "record-changed", *filters: str, id_: str = "s1", status: str = "requested", content: str = "id-only",
                 header: list[str] | None = None, **numbers_: int) -> dict[str, Any]:  # fmt: skip
    """A Subscription as a client writes it. numbers_: heartbeat_period, timeout, max_count."""
    channel: dict[str, Any] = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    channel["_payload"] = {"extension": [{"url": GUIDE + "payload-content", "valueCode": content}]}
    kinds = {"heartbeat_period": "valueUnsignedInt", "timeout": "valueUnsignedInt", "max_count": "valuePositiveInt"}
    if numbers_:
        channel["extension"] = [{"url": GUIDE + name.replace("_", "-"), kinds[name]: n} for name, n in numbers_.items()]
    if header:
        channel["header"] = header
    made: dict[str, Any] = {"resourceType": "Subscription", "id": id_, "status": status, "reason": "检验结果推送", "criteria": TOPIC + topic}
    if filters:
        made["_criteria"] = {"extension": [{"url": GUIDE + "filter-criteria", "valueString": f} for f in filters]}
    return made | {"channel": channel}


def observation(id_: str, patient: str = "p1", code: str = "2345-7", critical: str = "", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"resourceType": "Observation", "id": id_, "status": "final", "subject": {"reference": f"Patient/{patient}"}}
    body["code"] = {"coding": [{"system": "http://loinc.org", "code": code}]}
    if critical:
        system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
        body["interpretation"] = [{"coding": [{"system": system, "code": critical}]}]
    return body | more


class Ward:
    """What the tests of this folder share."""

    def __init__(self, folder: Any, store: dict[str, Any], server: HTTPServer) -> None:
        self.clock = SetClock(START)
        self.receiver = Receiver(server)
        self.folder, self.store = folder, store
        self.raw: dict[str, Any] = {"store": store, "notify": {"endpoints": [server.url_for("/hook/")], "timeout": 2, "retry_first": 10}}
        self.notifiers: list[Notifier] = []
        self.open()

    def open(self, **tables: Any) -> None:
        """Opens the site; what is given lies over the configuration."""
        self.site = Site.open(parse(self.raw | tables, self.folder / "yifang.toml"), adapters(), self.clock)
        self.site.start()
        self.front = Front(self.site, create_app(self.site, list, self.site.gateway.metrics.registry, None), [])
        self.notifier = self.another()
        self.notifier.recover()

    def another(self) -> Notifier:
        """The notifier of a process that starts now."""
        made = Notifier(self.site.database, self.site.config, self.site.gateway.writer.submit, self.clock, lambda: 1.0)
        self.notifiers.append(made)
        return made

    def close(self) -> None:
        for notifier in self.notifiers:
            notifier.hook.close()
        self.notifiers.clear()
        self.site.stop()
        self.site.close()

    def restart(self, **tables: Any) -> None:
        """The process ends and another one begins."""
        self.close()
        self.open(**tables)

    def run(self) -> None:
        """Takes up, numbers and tells until nothing is due."""
        while self.notifier.tend():
            pass
        while self.notifier.step():
            self.notifier.tend()

    def put(self, resource: dict[str, Any], expect: tuple[int, ...] = (200, 201), **headers: str) -> dict[str, Any]:
        answer = self.front.write("PUT", f"/fhir/{resource['resourceType']}/{resource['id']}", resource, **headers)
        assert answer.status_code in expect, answer.text
        return dict(answer.json())

    def read(self, name: str) -> dict[str, Any]:
        return dict(self.front.get(f"/fhir/{name}").json())

    def status(self, id_: str = "s1") -> str:
        return str(self.read(f"Subscription/{id_}")["status"])

    def subscribe(self, *filters: str, topic: str = "record-changed", **more: Any) -> None:
        """Subscribes, and shakes hands."""
        self.put(subscription(self.receiver.url, topic, *filters, **more))
        self.run()

    def later(self, **by: float) -> None:
        """Time passes, and what is due is done."""
        self.clock.advance(timedelta(**by))
        self.run()
