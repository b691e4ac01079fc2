"""`yifang map`: run, check, test, doc, coverage, activate, remap, on the site's own folder over the built-in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from gateway.builtin import MAPPINGS
from tests.cli.conftest import Yifang
from tests.village import body, reading

FOLDER = "community/village_reading"
PROFILE = """adapter = "sheet"
vendor = "our clinic"
version = "1"
mode = "snapshot"
key = ["机构代码", "读数编号"]
[fields]
"读数编号" = "编号"
"测量时间" = "时间"
"身份证号" = "身份证"
"收缩压" = "高压"
[constants]
"机构代码" = "@organisation"
"""
SOURCE = """
[[source]]
name = "clinic"
adapter = "sheet"
profiles = ["village_reading/clinic_csv"]
authority = "https://yifang.invalid/systems/clinic"
organisation = "390121103101"
options = { folder = "inbox" }
"""
HIS = """
[[source]]
name = "his"
adapter = "sqlview"
profiles = ["outpatient_visit/his_view"]
authority = "https://yifang.invalid/systems/his"
organisation = "390121101001"
options = { url = "sqlite:///his.sqlite3" }
"""


@pytest.fixture
def own(county: Path) -> Path:
    """The county's own folder for the dataset, empty."""
    folder = county / "mappings" / FOLDER
    folder.mkdir(parents=True)
    return folder


def changed(own: Path, old: str, new: str) -> None:
    """Lays an edited copy of the built-in map over it."""
    text = (MAPPINGS / FOLDER / "village_reading.map").read_text("utf-8")
    assert text.count(old) >= 1
    (own / "village_reading.map").write_text(text.replace(old, new, 1), "utf-8")


def test_run_prints_one_transaction_a_message_and_stores_nothing(yifang: Yifang, county: Path) -> None:
    (county / "a.json").write_bytes(body(reading(1, 40), reading(2, 42)))
    (county / "b.json").write_bytes(body(reading(3, 44, glucose={"value": "90", "timing": "1"})))
    done = yifang("map", "run", "village_reading/village_post", county / "a.json", county / "b.json")
    assert done.code == 1, "the second is held"
    assert "b.json 记录 1 /glucose/value: hold impossible-value" in done.err
    bundles = [json.loads(line) for line in done.out.splitlines()]
    assert len(bundles) == 2
    for line in done.out.splitlines():
        Bundle.model_validate_json(line)
    assert [e["resource"]["resourceType"] for e in bundles[0]["entry"]].count("Patient") == 2
    assert bundles[1].get("entry", []) == []
    assert yifang("map", "run", "village-posts", county / "a.json").code == 0
    assert not (county / "data").exists()


def test_run_needs_no_configuration(yifang: Yifang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = yifang("map", "run", "hl7v2_oru/standard", MAPPINGS / "clinical/hl7v2_oru/examples/ordinary.hl7")
    assert done.code == 0, done.err
    assert json.loads(done.out)["type"] == "transaction"
    broken = tmp_path / "x.hl7"
    broken.write_bytes(b"not HL7")
    refused = yifang("map", "run", "hl7v2_oru/standard", broken)
    assert refused.code == 1
    assert "x.hl7: refuse " in refused.err


def test_check_names_file_line_and_column_and_the_next_step(yifang: Yifang, own: Path) -> None:
    assert yifang("map", "check", "village_reading").code == 0
    changed(own, "收缩压 | quantity", "收缩鸭 | quantity")
    done = yifang("map", "check", "village_reading")
    assert done.code == 1
    assert "village_reading.map:" in done.out
    assert "收缩压" in done.out, "the nearest name"
    found: list[dict[str, Any]] = yifang("map", "check", "village_reading", "--json").json
    assert found[0]["place"].split(":")[1].isdecimal()
    activate = yifang("map", "test", "village_reading")
    assert (activate.code, "village_reading.map:" in activate.err) == (1, True)


def test_golden_examples_differ_until_they_are_accepted_into_the_countys_folder(yifang: Yifang, own: Path) -> None:
    assert yifang("map", "test", "village_reading").code == 0
    changed(own, 'code("loinc", "85354-9", "血压")', 'code("loinc", "85354-9", "血压(村)")')
    differing = yifang("map", "test", "village_reading")
    assert (differing.code, "+" in differing.out, "血压(村)" in differing.out) == (1, True, True)

    assert yifang("map", "test", "village_reading", "--accept").code == 0
    assert yifang("map", "test", "village_reading").code == 0
    assert "血压(村)" in (own / "examples" / "ordinary.out.json").read_text("utf-8")
    assert "血压(村)" not in (MAPPINGS / FOLDER / "examples" / "ordinary.out.json").read_text("utf-8")


def test_doc_and_coverage_are_written_for_people_and_programs(yifang: Yifang, county: Path) -> None:
    assert "收缩压" in yifang("map", "doc", "village_reading").out
    assert yifang("map", "doc", "village_reading", "-o", "signed").code == 0
    assert "| " in (county / "signed" / "village_reading.md").read_text("utf-8")
    report = yifang("map", "coverage", "village_reading", "--json").json
    assert {p["profile"] for p in report["profiles"]} == {"village_post", "meter_csv"}
    assert yifang("map", "coverage", "village_reading").code == 0


@pytest.mark.slow
def test_a_changed_map_takes_effect_on_command_and_old_records_after_a_preview(yifang: Yifang, county: Path, own: Path) -> None:
    file = county / "a.json"
    file.write_bytes(body(reading(4, 46)))
    assert yifang("ingest", "village-posts", file).code == 0
    assert yifang("map", "activate", "--json").json["state"] == "unchanged"
    changed(own, 'code("loinc", "85354-9", "血压")', 'code("loinc", "85354-9", "血压(村)")')

    refused = yifang("map", "activate")
    assert refused.code == 1, "the examples do not pass"
    assert yifang("map", "test", "--accept", "village_reading").code == 0
    assert "与生效的不同" in yifang("doctor").out
    assert yifang("map", "activate", "--json").json["state"] == "active"
    preview = yifang("map", "remap", "--preview", "--json").json
    assert (preview["preview"], preview["updated"], preview["created"], preview["vanished"]) == (True, 1, 0, 0)
    assert yifang("map", "remap", "--json").json["updated"] == 1
    assert yifang("map", "remap", "--preview", "--json").json["updated"] == 0


@pytest.mark.slow
def test_a_new_profile_is_put_into_effect_before_its_source_is_served(yifang: Yifang, county: Path, own: Path) -> None:
    assert yifang("doctor").code == 0, "the built-in maps are active from the first start on"
    (own / "sources").mkdir()
    (own / "sources" / "clinic_csv.toml").write_text(PROFILE, "utf-8")
    with (county / "yifang.toml").open("a", encoding="utf-8") as file:
        file.write(SOURCE)
    (county / "a.csv").write_text("编号,时间,身份证,高压\nA1,2026-04-01 08:30,390121195803140267,138\n", "utf-8")
    early = yifang("ingest", "clinic", "a.csv")
    assert (early.code, "yifang map activate" in early.err) == (2, True)
    assert yifang("map", "activate").code == 0
    assert yifang("ingest", "clinic", "a.csv").code == 0


def test_a_kept_batch_of_view_rows_is_taken_in_again_from_a_file(yifang: Yifang, county: Path) -> None:
    (county / "yifang.toml").write_text(HIS, "utf-8")
    row = {"org_code": "390121101001", "visit_no": "V1", "upd_time": "2026-04-01 08:30:00", "id_no": "390121195803140267"}
    row |= {"patient_name": "欧阳禾", "visit_time": "2026-04-01 08:00:00", "visit_kind": "1", "visit_state": "F"}
    line = {"profile": "outpatient_visit/his_view", "rows": [row], "children": {}}
    (county / "batch.ndjson").write_text(json.dumps(line, ensure_ascii=False), "utf-8")
    done = yifang("ingest", "his", "batch.ndjson", "--json")
    (record,) = done.json[0]["records"]
    assert (record["dataset"], record["key"], record["position"]) == ("outpatient_visit", ["390121101001", "V1"], "v_mz_visit!第1行")
