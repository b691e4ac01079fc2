"""Facts, written by a vendor in its container, come back through the real adapters and source profiles as the same national records."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from adapters import sqlview
from gateway.adapter import SourceConfig
from gateway.demo.containers import delimited, fill_views, json_batch, workbook
from gateway.demo.county import County, county
from gateway.demo.life import Fact, directory, followups, profiles, readings, visits
from gateway.demo.people import people
from gateway.demo.vendor import Vendor
from gateway.mapping.catalogue import Catalogue
from gateway.record import RAW, Record
from tests.adapters.intake import RecordingIntake, start, until
from tests.maps import built_in

START, STAMP = date(2025, 7, 1), datetime(2026, 6, 30, 8)
VILLAGE = "390121101101"


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    place: County = county(Random(1))
    residents = people(place, Random(1), 60, STAMP.date())
    return [
        *directory(place, STAMP),
        *profiles(place, residents, Random(2), STAMP),
        *followups(place, residents, Random(3), START),
        *readings(place, residents, Random(4), START),
        *visits(place, residents, Random(5), START),
    ]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return built_in()


def of(facts: list[Fact], dataset: str) -> list[dict[str, Any]]:
    """Records of a dataset, in one village where it belongs to one."""
    return [
        f.fields for f in facts if f.dataset == dataset and (f.institution == VILLAGE or dataset not in ("hypertension_followup", "village_reading"))
    ]


def records(catalogue: Catalogue, adapter: str, content: bytes, *profiles: str) -> list[Record]:
    source = SourceConfig(name="test", adapter=adapter, profiles=list(profiles), authority="https://demo.invalid/sys", organisation=VILLAGE)
    binding = catalogue.bind(source)
    return [binding.record(row) for row in binding.extract(content)]


def assert_true(found: list[Record], truth: list[dict[str, Any]], vendor: Vendor) -> None:
    """Every fact came back once, each field that the vendor carries with its national value, and nothing was held."""
    assert len(found) == len(truth) > 0
    for record, fields in zip(found, truth, strict=True):
        held = [f.code for f in record.findings if f.severity in ("hold", "refuse")]
        assert held == [], record.findings
        for name in vendor.profile["fields"]:
            if name in fields and name not in vendor.profile.get("units", {}):
                assert record.fields.get(name) == fields[name], name
            elif name in fields:
                assert abs(Decimal(record.fields[name]) - Decimal(fields[name])) < Decimal("0.5"), name
        assert RAW not in fields


def test_workbook_of_institutions_and_staff(catalogue: Catalogue, facts: list[Fact]) -> None:
    places, staff = Vendor.load("organisation", "county_xlsx"), Vendor.load("staff", "county_xlsx")
    tables = {places.options["sheet"]: (places, of(facts, "organisation")), staff.options["sheet"]: (staff, of(facts, "staff"))}
    found = records(catalogue, "sheet", workbook(tables, "机构与人员登记表"), "organisation/county_xlsx", "staff/county_xlsx")
    assert_true([r for r in found if r.dataset == "organisation"], of(facts, "organisation"), places)
    assert_true([r for r in found if r.dataset == "staff"], of(facts, "staff"), staff)


@pytest.mark.parametrize("name", ["vendor_a_csv", "vendor_c_xlsx"])
def test_followups_in_sheets(catalogue: Catalogue, facts: list[Fact], name: str) -> None:
    vendor, truth = Vendor.load("hypertension_followup", name), of(facts, "hypertension_followup")
    content = delimited(vendor, truth, "gbk") if name == "vendor_a_csv" else workbook({vendor.options["sheet"]: (vendor, truth)}, "随访登记")
    assert_true(records(catalogue, "sheet", content, f"hypertension_followup/{name}"), truth, vendor)


def test_readings_in_json(catalogue: Catalogue, facts: list[Fact]) -> None:
    vendor, truth = Vendor.load("village_reading", "village_post"), of(facts, "village_reading")
    assert_true(records(catalogue, "restjson", json_batch(vendor, truth), "village_reading/village_post"), truth, vendor)


@pytest.mark.anyio
@pytest.mark.parametrize(("dataset", "name"), [("outpatient_visit", "his_view"), ("prescription", "his_view"), ("resident_profile", "vendor_b_view")])
async def test_views_of_a_front_end_database(catalogue: Catalogue, facts: list[Fact], tmp_path: Path, dataset: str, name: str) -> None:
    vendor, truth = Vendor.load(dataset, name), of(facts, dataset)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'front.db'}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        fill_views(connection, vendor, truth)
    source = SourceConfig(name="t", adapter="sqlview", profiles=[f"{dataset}/{name}"], authority="https://demo.invalid/his", organisation=VILLAGE)
    binding = catalogue.bind(source)
    intake = RecordingIntake(binding.extract)
    feed = await start(sqlview.adapter, binding.layouts, intake, {"url": str(engine.url), "poll": 0.05})
    await until(lambda: len(intake.rows) >= len(truth))
    await feed.stop()
    key = tuple(k for k in vendor.profile["key"] if isinstance(k, str))
    ordered = {record.key: record for record in map(binding.record, intake.rows)}
    assert_true([ordered[tuple(f[k] for k in key)] for f in truth], truth, vendor)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
