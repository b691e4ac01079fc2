"""Any order of the county's messages, with repeats, ends in the same current resources (design/records.md, "Several records, one resource")."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adapters import cda, restjson, sheet, sqlview
from adapters.hl7v2 import adapter as hl7v2
from gateway.config import parse
from gateway.demo.parcel import Parcel
from gateway.demo.run import current
from gateway.demo.scenario import Scenario
from gateway.record import Incoming
from gateway.site import Site

ADAPTERS = {a.name: a for a in (sheet.adapter, sqlview.adapter, restjson.adapter, cda.adapter, hl7v2)}
SCENARIO = Scenario(seed=6, residents=9)


def stored(root: Path, parcels: list[Parcel]) -> list[dict[str, Any]]:
    """What a gateway holds after these parcels, in this order."""
    config = parse({"store": {"data": str(root / "store")}, "source": SCENARIO.sources(root)}, root / "yifang.toml")
    site = Site.open(config, ADAPTERS)
    try:
        site.start()
        waiting = [site.gateway.accept(p.source, Incoming(p.content, name=p.name)) for p in parcels if isinstance(p.content, bytes)]
        for receipt in waiting:
            receipt.result(60)
        site.stop()
        return list(current(site))
    finally:
        site.close()


ID = re.compile(r"\b[a-z][a-z2-7]{26}\b")
"""An id that the gateway gave: each store has a key of its own, so ids differ where the resources are the same."""


def name_of(resource: dict[str, Any]) -> str:
    """What a resource is called in every store: its business numbers, and a Patient's name."""
    found = resource.get("identifier", [])
    numbers = sorted(str(i.get("value")) for i in (found if isinstance(found, list) else [found]))
    return f"{resource['resourceType']} {numbers} {resource.get('name') if resource['resourceType'] == 'Patient' else ''}"


def comparable(resources: list[dict[str, Any]]) -> list[str]:
    """Resources without meta and linked-away Patients, ids replaced by business numbers."""
    names = {r["id"]: name_of(r) for r in resources}
    found = []
    for resource in resources:
        if resource["resourceType"] != "Patient" or resource.get("active") is not False:
            text = json.dumps({k: v for k, v in resource.items() if k != "meta"}, sort_keys=True, default=str, ensure_ascii=False)
            found.append(ID.sub(lambda match: names.get(match[0], match[0]), text))
    return sorted(found)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return comparable(stored(tmp_path_factory.mktemp("first"), SCENARIO.parcels()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_ends_in_the_same_resources(reference: list[str], tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    parcels = [p for p in SCENARIO.parcels() if isinstance(p.content, bytes)]
    again = [*parcels, *chance.sample(parcels, len(parcels) // 4)]
    chance.shuffle(again)
    found = comparable(stored(tmp_path, again))
    assert len(found) == len(reference) > 300
    assert [(a, b) for a, b in zip(reference, found, strict=True) if a != b] == []
