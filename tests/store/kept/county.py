"""A small site whose database is kept for later releases: what source systems sent, what clients wrote, what is owed, held and linked.

A later schema is made by running this with the program of its day; what is written here should grow with the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.cli.context import adapters
from gateway.clock import SetClock
from gateway.config import parse
from gateway.http.app import create_app
from gateway.notify.notifier import Notifier
from gateway.site import Site
from tests.http.conftest import SOURCE, Front
from tests.notify.ward import subscription
from tests.village import reading

HOOK = "http://127.0.0.1:9/hook"
START = datetime(2026, 4, 1, 8, tzinfo=UTC)
KEYED: tuple[str, str, dict[str, Any], dict[str, str]] = (
    "POST", "/fhir/Device", {"resourceType": "Device", "lotNumber": "1"}, {"Idempotency_Key": "kept-key"},
)  # fmt: skip
"""A request that a client may repeat after an upgrade."""
ONCE: tuple[str, str, dict[str, Any], dict[str, str]] = (
    "POST", "/fhir/Device", {"resourceType": "Device", "identifier": [{"value": "kept"}]}, {"If_None_Exist": "identifier=kept"},
)  # fmt: skip
"""A conditional create."""


@contextmanager
def site(folder: Path, **store: str) -> Iterator[tuple[Front, SetClock]]:
    """The site, started; an hour passes between two of them on one database."""
    raw = {
        "source": [SOURCE],
        "store": {"data": str(folder)} | store,
        "destination": [{"name": "upstream", "url": "http://127.0.0.1:9/fhir"}],
        "notify": {"endpoints": [HOOK]},
    }
    clock = SetClock(START)
    opened = Site.open(parse(raw, folder / "yifang.toml"), adapters(), clock)
    try:
        opened.start()
        yield Front(opened, create_app(opened, list, opened.gateway.metrics.registry), []), clock
        opened.stop()
    finally:
        opened.close()


def write(front: Front, clock: SetClock) -> None:
    """Everything that is kept."""
    front.reading(reading(1, 26))
    front.reading(reading(1, 26, updatedAt="2026-04-01T09:00:00+08:00", bp={"systolic": "136", "diastolic": "86"}))
    front.reading(reading(2, 27, bp={"systolic": "990", "diastolic": "86"}))
    for name in ("kept-a", "kept-b"):
        front.write("PUT", f"/fhir/Patient/{name}", {"resourceType": "Patient", "id": name, "name": [{"text": "欧阳松"}]})
        clock.advance(timedelta(seconds=1))
    told = {"resourceType": "Observation", "id": "kept-o", "status": "final", "code": {"text": "接口"}, "subject": {"reference": "Patient/kept-b"}}
    for status in ("final", "amended"):
        front.write("PUT", "/fhir/Observation/kept-o", told | {"status": status})
        clock.advance(timedelta(seconds=1))
    front.write("PUT", "/fhir/Basic/kept-gone", {"resourceType": "Basic", "id": "kept-gone", "code": {"text": "x"}})
    front.call("DELETE", "/fhir/Basic/kept-gone")
    for method, path, body, headers in (KEYED, ONCE):
        front.write(method, path, body, **headers)
    front.write("PUT", "/fhir/Subscription/kept-s", subscription(HOOK, id_="kept-s"))
    Notifier(front.site.database, front.site.config, front.site.gateway.writer.submit, clock).tend()
    front.site.gateway.link("kept-a", "kept-b", "test")
