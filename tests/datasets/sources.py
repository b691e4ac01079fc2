"""Runs bytes as a vendor sends them through adapter, source profile and map of a built-in dataset, for tests."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from gateway.config import SourceConfig
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.mapping.catalogue import Binding, Catalogue, MapContext
from gateway.record import MapResult, Record
from tests.maps import built_in

CONTEXT = MapContext(IdScheme(TEST_KEY, "https://yifang.invalid/fhir"), portable=True)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The built-in mapping set."""
    return built_in()


def bound(dataset: str, profile: str, organisation: str) -> Binding:
    """One source with this one profile."""
    adapter = catalogue().entry(dataset).profiles[profile].adapter
    source = SourceConfig(
        name="test-source", adapter=adapter, profiles=[f"{dataset}/{profile}"], authority="urn:example:vendor", organisation=organisation
    )
    return catalogue().bind(source)


def mapped(dataset: str, profile: str, content: bytes, organisation: str = "390121103101") -> list[tuple[Record, MapResult]]:
    """Every record of a message, with what the map makes of it."""
    binding = bound(dataset, profile, organisation)
    records = [binding.record(row) for row in binding.extract(content)]
    return [(record, binding.map(record, CONTEXT)) for record in records]


def view_line(dataset: str, profile: str, rows: list[dict[str, str]], children: dict[str, list[dict[str, str]]] | None = None) -> bytes:
    """A batch of one record as the sqlview adapter keeps it."""
    nodes = {name: [{"cells": cells, "children": {}} for cells in group] for name, group in (children or {}).items()}
    return json.dumps({"profile": f"{dataset}/{profile}", "rows": rows, "children": nodes}).encode()


def bodies(result: MapResult, type_: str) -> list[dict[str, Any]]:
    """The resources of one type."""
    return [d.body for d in result.drafts if d.type == type_]
