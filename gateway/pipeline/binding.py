"""What the pipeline asks of the mapping engine (gateway/mapping/catalogue.py keeps it; tests may stand in for it)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Protocol

from gateway.adapter import Layout
from gateway.config import SourceConfig
from gateway.mapping.compile import MapContext
from gateway.record import MapResult, Record, Row

__all__ = ["Binding", "Catalogue", "ProfileOf"]


class ProfileOf(Protocol):
    """How a source carries one dataset."""

    @property
    def mode(self) -> str:
        """`snapshot` or `delta`."""
        ...

    @property
    def version(self) -> str:
        """Digest of map, fields, profile, tables and fragments."""
        ...


class Binding(Protocol):
    """All profiles of one source."""

    @property
    def layouts(self) -> list[Layout]:
        """What the adapter compiled."""
        ...

    def extract(self, content: bytes | BinaryIO, /) -> Iterator[Row]:
        """Rows of a message, lazily; raises Refused."""
        ...

    def record(self, row: Row, /) -> Record:
        """The row in national codes."""
        ...

    def map(self, record: Record, context: MapContext, /) -> MapResult:
        """What the map makes of a record."""
        ...

    def profile_of(self, dataset: str, /) -> ProfileOf:
        """Mode and map version of a dataset."""
        ...


class Catalogue(Protocol):
    """All maps. `version` names the set; `files` are its files by path."""

    @property
    def version(self) -> str:
        """Digest of the set."""
        ...

    @property
    def files(self) -> Mapping[str, bytes]:
        """Files of the set; the store's own tables are among them (gateway/store/rules.py)."""
        ...

    def bind(self, source: SourceConfig, /) -> Any:
        """The Binding of one source. Raises ConfigError or MapError."""
        ...
