"""The inputs of all golden examples through a real Gateway, to be delivered to a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from gateway.adapter import Adapter
from gateway.builtin import MAPPINGS
from gateway.clock import SetClock
from gateway.config import Config, DestinationConfig, SourceConfig, StoreConfig
from gateway.mapping.catalogue import Binding, Catalogue
from gateway.mapping.files import MapFiles
from gateway.mapping.golden import AUTHORITY, ORGANISATION, Example, examples
from gateway.outbox.reconcile import Reconciliation, reconcile
from gateway.outbox.sender import Sender
from gateway.pipeline import Gateway
from gateway.record import Incoming, Receipt, Row
from gateway.store.database import Database
from gateway.upstream import FhirServer

FIELDS = b'{"golden fields":'
DESTINATION = "hapi"


class AnyRow:
    """A real binding that also takes the fields of an example as one row."""

    def __init__(self, binding: Binding, dataset: str) -> None:
        self.binding = binding
        self.dataset = dataset

    def __getattr__(self, name: str) -> Any:
        return getattr(self.binding, name)

    def extract(self, content: bytes | BinaryIO) -> Iterator[Row]:
        """The rows of a message, or the one row of an example's fields."""
        data = content if isinstance(content, bytes) else content.read()
        if not data.startswith(FIELDS):
            yield from self.binding.extract(data)
            return
        yield Row(self.dataset, json.loads(data)["golden fields"], data, "例子")


@dataclass
class GoldenCatalogue:
    """The built-in maps, behind bindings that take examples."""

    catalogue: Catalogue

    @property
    def files(self) -> MapFiles:
        """The map set."""
        return self.catalogue.files

    @property
    def version(self) -> str:
        """Digest of the map set."""
        return self.catalogue.version

    def bind(self, source: SourceConfig) -> AnyRow:
        """The binding of a source with one profile."""
        return AnyRow(self.catalogue.bind(source), source.profiles[0].partition("/")[0])


def source_of(catalogue: Catalogue, example: Example) -> SourceConfig:
    """The source an example belongs to: its profile, at its organisation."""
    organisation = str(example.content.get("organisation", ORGANISATION))
    return SourceConfig(
        name=f"{example.dataset}-{example.profile}-{organisation}".replace("_", "-"),
        adapter=catalogue.entry(example.dataset).profiles[example.profile].adapter,
        profiles=[f"{example.dataset}/{example.profile}"],
        authority=f"{AUTHORITY}/{example.profile.replace('_', '-')}",
        organisation=organisation,
    )


class Site:
    """A gateway on SQLite with every golden source, and a sender to one FHIR server."""

    def __init__(self, folder: Path, url: str, clock: SetClock, adapters: dict[str, Adapter]) -> None:
        self.clock = clock
        self.catalogue = Catalogue(MapFiles.from_folders([MAPPINGS]), adapters)
        self.examples = [e for d in self.catalogue.datasets for e in examples(self.catalogue, self.catalogue.entry(d))]
        sources = {s.name: s for s in (source_of(self.catalogue, e) for e in self.examples)}
        self.destination = DestinationConfig(name=DESTINATION, url=url, timeout=60)
        self.config = Config(source=list(sources.values()), store=StoreConfig(data=folder), destination=[self.destination])
        self.database = Database.open(self.config.store)
        self.gateway = Gateway(self.config, self.database, GoldenCatalogue(self.catalogue), clock)
        self.server = FhirServer(self.destination, clock.now)
        self.sender = Sender(self.database, self.destination, self.server, self.config.base, clock, lambda: 0.5)

    def example(self, dataset: str, name: str) -> Example:
        """One example."""
        return next(e for e in self.examples if (e.dataset, e.name) == (dataset, name))

    def send(self, example: Example, edit: Callable[[dict[str, Any]], Any] = lambda fields: None) -> Receipt:
        """Feeds an example, its fields edited first."""
        if "message" in example.content:
            content = self.catalogue.files[f"{example.path.rsplit('/', 1)[0]}/{example.content['message']}"]
        else:
            fields = json.loads(json.dumps(example.content["fields"]))
            edit(fields)
            content = FIELDS + json.dumps(fields, ensure_ascii=False).encode() + b"}"
        self.clock.advance(timedelta(seconds=1))
        return self.gateway.accept(source_of(self.catalogue, example).name, Incoming(content)).result(60)

    def drain(self, rounds: int = 200) -> None:
        """Delivers until nothing is due any more."""
        for _ in range(rounds):
            if not self.sender.step():
                self.clock.advance(timedelta(seconds=1))
                if not self.sender.step():
                    return
        raise AssertionError("deliveries do not come to an end")

    def reconciled(self) -> Reconciliation:
        """Both sides compared."""
        return reconcile(self.database, DESTINATION, self.server, self.config.base)
