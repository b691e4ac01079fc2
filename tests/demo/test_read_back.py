"""Every message, document, file and request of the county is read by the real adapters and profiles as the records that were meant, and only
those wait that are meant to wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.adapter import SourceConfig
from gateway.demo.expected import record_key
from gateway.demo.feeds import AUTHORITY, FEEDS
from gateway.demo.parcel import Parcel
from gateway.demo.scenario import Scenario
from gateway.mapping.catalogue import Catalogue
from gateway.pipeline.binding import Binding
from gateway.record import Record
from tests.maps import built_in

DATASETS = {"hl7v2_oru": "laboratory_report", "cda_c0007": "laboratory_report"}
"""Message-shaped datasets -> that of the facts behind them."""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario(seed=4, residents=30)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return built_in()


def bound(catalogue: Catalogue, name: str) -> Binding:
    feed = FEEDS[name]
    authority = AUTHORITY + feed.system
    source = SourceConfig(name=name, adapter=feed.adapter, profiles=list(feed.profiles), authority=authority, organisation=feed.organisation)
    return catalogue.bind(source)


def records(catalogue: Catalogue, parcels: list[Parcel]) -> Iterator[tuple[Parcel, Record]]:
    bindings: dict[str, Binding] = {}
    for parcel in parcels:
        if isinstance(parcel.content, bytes) and not parcel.broken and not parcel.name.startswith("QC"):
            binding = bindings.setdefault(parcel.source, bound(catalogue, parcel.source))
            yield from ((parcel, binding.record(row)) for row in binding.extract(parcel.content))


def held(record: Record) -> set[str]:
    return {f.code for f in record.findings if f.severity == "hold"}


def test_every_parcel_reads_back_as_the_records_that_were_meant(catalogue: Catalogue, scenario: Scenario) -> None:
    meant = {(f.source, *record_key(f)[1:]) for f in scenario.facts if FEEDS[f.source].adapter != "sqlview"}
    found = set()
    for parcel, record in records(catalogue, scenario.parcels()):
        dataset = DATASETS.get(record.dataset, record.dataset)
        key = tuple(k for k in record.key if k)
        if (FEEDS[parcel.source].system, dataset, key) in scenario.dangers.held:
            continue
        assert held(record) == set(), (parcel.source, parcel.name, record.findings)
        found.add((parcel.source, dataset, key))
    waiting = {(FEEDS[f.source].system, *record_key(f)[1:]) for f in scenario.facts if record_key(f) in scenario.dangers.held}
    assert {m for m in meant - found if (FEEDS[m[0]].system, *m[1:]) not in waiting} == set()
    assert found <= meant


def test_values_come_back_with_their_precision(catalogue: Catalogue, scenario: Scenario) -> None:
    """Of every laboratory message and document: item codes and values as the newest or an older version of the report has them."""
    said: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for fact in scenario.facts:
        if fact.dataset == "laboratory_report":
            results = {(r["项目代码"], r["结果值"]) for order in fact.fields["申请"] for r in order["结果"]}
            said.setdefault((fact.source, fact.fields["报告单号"]), set()).update(results)
    seen = 0
    for parcel, record in records(catalogue, scenario.parcels()):
        if record.dataset == "hl7v2_oru":
            got = {(o["OBX-3"]["1"], "".join(v[""] for v in o.get("OBX-5", ()))) for r in record.fields["OBR"] for o in r["OBX"]}
        elif record.dataset == "cda_c0007":
            got = {(r["项目代码"], r["定量结果"]) for r in record.fields["结果"]}
        else:
            continue
        seen += len(got)
        assert got <= said[parcel.source, record.fields["报告单号"]]
    assert seen > 50
