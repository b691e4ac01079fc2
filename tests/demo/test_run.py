"""The demo end to end: the report, the counts that can rise, and nothing about residents in what it logs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, make_url, select, text

from gateway.config import StoreConfig
from gateway.demo.run import current
from gateway.demo.scenario import Scenario
from gateway.fhir.json import decode
from gateway.store.database import Database
from gateway.store.tables import resource

RESIDENTS, SEED = 30, 3
BASE = "https://demo.yifang.invalid/fhir"

PATIENCE = 900
"""Seconds for a demo, which takes some thirty on an idle machine; what it has to show is not its speed."""
pytestmark = pytest.mark.timeout(PATIENCE + 60)


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished demo: its folder, its report, and what it printed."""

    root: Path
    report: dict[str, Any]
    output: str


def demo(root: Path, *options: str) -> Ran:
    command = [sys.executable, "-m", "gateway", "demo", "--once", "--residents", str(RESIDENTS), "--seed", str(SEED)]
    command += ["--data", str(root / "data"), "--report", str(root / "r.json"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ | {"PYTHONUTF8": "1"})
    complaints = "\n".join(line for line in done.stdout.splitlines() if "丢失" in line or "重复" in line)
    assert done.returncode == 0, complaints + done.stdout[-4000:] + done.stderr[-4000:]
    return Ran(root / "data", json.loads((root / "r.json").read_text("utf-8")), done.stdout + done.stderr)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def store(ran: Ran) -> Iterator[Database]:
    database = Database.open(StoreConfig(data=ran.root / "store"))
    yield database
    database.close()


@dataclass(frozen=True, slots=True)
class Gate:
    """What `gateway.demo.run.current` needs of a site."""

    database: Database


@pytest.mark.slow
def test_the_report_has_its_form_and_nothing_is_lost_doubled_or_changed_by_the_second_run(ran: Ran) -> None:
    report = ran.report
    assert (report["lost"], report["duplicated"], report["second_run"]) == (0, 0, {"new_versions": 0})
    assert {s["adapter"] for s in report["sources"]} == {"sqlview", "hl7v2", "cda", "sheet", "restjson"}
    for source in report["sources"]:
        assert set(source) == {"name", "adapter", "messages", "records", "resources", "findings", "held", "delivered"}
        assert source["messages"] > 0
    assert {"Patient", "Observation", "DiagnosticReport", "Encounter", "MedicationRequest", "ServiceRequest", "CarePlan"} <= set(report["resources"])
    assert report["seconds"] > 0


@pytest.mark.slow
def test_one_resource_dropped_and_one_doubled_are_counted(ran: Ran, store: Database) -> None:
    truth = Scenario(SEED, RESIDENTS).truth
    before = list(current(Gate(store)))  # type: ignore[arg-type]  # the database is all it uses
    assert (len(truth.judge(before, BASE).lost), len(truth.judge(before, BASE).duplicated)) == (0, 0)
    observation = next(r for r in before if r["resourceType"] == "Observation")
    dropped = truth.judge((r for r in before if r["id"] != observation["id"]), BASE)
    assert len(dropped.lost) == 1
    doubled = truth.judge([*before, observation | {"id": "another"}], BASE)
    assert len(doubled.duplicated) == 1


@pytest.mark.slow
def test_a_resource_deleted_from_the_store_itself_is_counted_as_lost(ran: Ran, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ran.root / "store", tmp_path / "store")
    database = Database.open(StoreConfig(data=tmp_path / "store"))
    try:
        with database.engine.begin() as c:
            rid = c.scalar(select(resource.c.rid).where(resource.c.type == "DiagnosticReport", ~resource.c.deleted).limit(1))
            c.execute(delete(resource).where(resource.c.rid == rid))
        assert len(Scenario(SEED, RESIDENTS).truth.judge(current(Gate(database)), BASE).lost) >= 1  # type: ignore[arg-type]  # as above
    finally:
        database.close()


@pytest.mark.slow
def test_no_residents_data_stands_in_the_logs(ran: Ran, store: Database) -> None:
    logs = "\n".join(p.read_text("utf-8") for p in ran.root.glob("*.log*"))
    assert '"event"' in logs
    secrets = set()
    with store.engine.connect() as c:
        for row in c.execute(select(resource.c.content).where(resource.c.type == "Patient")):
            patient = decode(bytes(row.content))
            secrets |= {i["value"] for i in patient.get("identifier", ())} | {n["text"] for n in patient.get("name", ()) if "text" in n}
            secrets |= {t["value"] for t in patient.get("telecom", ())}
    assert len(secrets) > RESIDENTS
    words = set(re.findall(r"[\w.\-/]+", logs))
    assert not {s for s in secrets if s in words or (len(s) > 5 and s in logs)}
    for line in logs.splitlines():
        json.loads(line)


@pytest.mark.slow
@pytest.mark.hapi
def test_the_county_arrives_on_a_real_hapi_server(tmp_path: Path) -> None:
    report = demo(tmp_path, "--destination", os.environ["YIFANG_TEST_HAPI"]).report
    assert (report["lost"], report["duplicated"], report["second_run"]) == (0, 0, {"new_versions": 0})
    assert sum(s["delivered"] for s in report["sources"]) >= sum(s["resources"] for s in report["sources"]) * 0.99


@pytest.mark.slow
@pytest.mark.postgres
def test_the_county_on_postgresql(tmp_path: Path) -> None:
    server = make_url(os.environ["YIFANG_TEST_POSTGRES"])
    name = f"demo_{os.getpid()}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        c.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    report = demo(tmp_path, "--database", server.set(database=name).render_as_string(hide_password=False)).report
    assert (report["lost"], report["duplicated"], report["second_run"]) == (0, 0, {"new_versions": 0})
