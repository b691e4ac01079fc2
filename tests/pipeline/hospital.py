"""A gateway with the built-in maps and one LIS that speaks HL7 v2, for what only maps and store together show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gateway.adapter import Adapter
from gateway.clock import SetClock
from gateway.config import Config, SourceConfig, StoreConfig
from gateway.fhir.json import decode
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.pipeline import Gateway
from gateway.record import Incoming, Receipt
from gateway.store.database import Database
from tests.maps import built_in

AUTHORITY = "urn:example:lis"
ADAPTERS: dict[str, Adapter] = {"hl7v2": import_module("adapters.hl7v2").adapter}


def catalogue(changes: Mapping[str, tuple[str, str]] | None = None) -> Catalogue:
    """The built-in maps; changes: path -> (old text, new text)."""
    if not changes:
        return built_in()
    files = dict(built_in().files)
    for path, (old, new) in changes.items():
        before = files[path].decode()
        assert old in before
        files[path] = before.replace(old, new).encode()
    return Catalogue(MapFiles(files), ADAPTERS)


class Hospital:
    """One running gateway on SQLite."""

    def __init__(self, folder: Path) -> None:
        lis = SourceConfig(
            name="lis", adapter="hl7v2", profiles=["hl7v2_oru/standard", "hl7v2_adt/standard"], authority=AUTHORITY, organisation="390121000001"
        )
        self.config = Config(source=[lis], store=StoreConfig(data=folder))
        self.database = Database.open(self.config.store)
        self.gateway = Gateway(self.config, self.database, catalogue(), SetClock(datetime(2026, 3, 2, 12, tzinfo=UTC)))

    def __enter__(self) -> Hospital:
        self.gateway.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.close()
        self.database.close()

    def send(self, *segments: str) -> Receipt:
        """One message."""
        return self.gateway.accept("lis", Incoming("\r".join(segments).encode() + b"\r")).result(30)

    def activate(self, made: Catalogue) -> None:
        """Makes a map set the active one."""
        self.gateway.activate(made.files.snapshot(), made.version, made)

    def of(self, type_: str) -> list[dict[str, Any]]:
        """Current resources of a type, oldest first."""
        query = text("SELECT content FROM resource WHERE type = :type AND NOT deleted ORDER BY rid")
        with self.database.engine.connect() as connection:
            return [decode(bytes(content)) for (content,) in connection.execute(query, {"type": type_})]
