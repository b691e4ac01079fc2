"""村卫生室血压/血糖读数: what the accepted examples must say, posted by an app and exported by a meter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.datasets.goldens import Golden, check_r4b, goldens
from tests.datasets.sources import bodies, catalogue, mapped

GOLDENS = goldens("village_reading")


def components(golden: Golden) -> dict[str, Any]:
    """Components of the blood pressure, by their first code."""
    (pressure,) = golden.coded("85354-9")
    return {c["code"].get("coding", [{"code": c["code"].get("text")}])[0]["code"]: c for c in pressure["component"]}


@pytest.mark.parametrize("golden", GOLDENS.values(), ids=lambda g: g.name)
def test_every_resource_passes_the_r4b_models(golden: Golden) -> None:
    for resource in golden.resources:
        check_r4b(resource)


def test_the_map_checks_with_all_profiles() -> None:
    assert [str(f) for f in catalogue().entry("village_reading").faults] == []


def test_one_reading_gives_an_observation_a_measurement() -> None:
    golden = GOLDENS["ordinary"]
    assert [o["code"]["coding"][0]["code"] for o in golden.of_type("Observation")] == [
        "85354-9",
        "8867-4",
        "14743-9",
        "8310-5",
        "2708-6",
        "29463-7",
        "8280-0",
    ]
    assert str(golden.coded("14743-9")[0]["valueQuantity"]["value"]) == "6.80"
    assert set(components(golden)) == {"8480-6", "8462-4", "8361-8", "测量场所"}


@pytest.mark.parametrize(("name", "alarms"), [("dangerous", 3), ("low_glucose", 1), ("ordinary", 0)])
def test_dangerous_values_are_written_and_flagged(name: str, alarms: int) -> None:
    golden = GOLDENS[name]
    assert sum("alarm-value" in line for line in golden.findings) == alarms
    assert golden.of_type("Observation")


def test_a_glucose_of_90_mmol_holds_the_reading() -> None:
    golden = GOLDENS["wrong"]
    assert golden.resources == ()
    assert any(line.startswith("hold | impossible-value") for line in golden.findings)


def test_a_reading_with_one_value_is_still_a_reading() -> None:
    golden = GOLDENS["incomplete"]
    assert set(components(golden)) == {"8480-6"}
    assert golden.findings == ()


def test_a_voided_reading_is_entered_in_error_under_the_same_id() -> None:
    before, after = GOLDENS["ordinary"].of_type("Observation"), GOLDENS["voided"].of_type("Observation")
    assert [o["id"] for o in before] == [o["id"] for o in after]
    assert {o["status"] for o in after} == {"entered-in-error"}


def test_kilopascals_and_jin_are_converted_and_the_village_number_restored() -> None:
    golden = GOLDENS["meter_ordinary"]
    assert str(components(golden)["8480-6"]["valueQuantity"]["value"]) == "138"
    assert str(golden.coded("29463-7")[0]["valueQuantity"]["value"]) == "62.5"
    assert golden.of_type("Patient")[0]["identifier"][0]["value"] == "39012110310100018"


def test_without_its_prefix_a_village_number_is_no_strong_identifier() -> None:
    golden = GOLDENS["meter_wrong"]
    assert golden.resources == ()
    assert any("no-person-number" in line for line in golden.findings)


def test_a_batch_of_posts_has_an_outcome_each() -> None:
    fields = {"orgCode": "390121103101", "measuredAt": "2026-04-01T08:30:00+08:00", "resident": {"archiveNo": "39012110310100018"}}
    posts = [
        {**fields, "readingId": "A", "bp": {"systolic": 138, "diastolic": 86}},
        {**fields, "readingId": "B", "glucose": {"value": 5.60, "timing": "1"}},
        {**fields, "readingId": "C", "resident": {"name": "王禾"}, "bp": {"systolic": 120}},
    ]
    content = json.dumps(posts).replace("5.6", "5.60").encode()
    (_, first), (_, second), (_, third) = mapped("village_reading", "village_post", content)
    assert not first.held and not second.held
    assert str(bodies(second, "Observation")[0]["valueQuantity"]["value"]) == "5.60"
    assert third.held


def test_the_meters_export_is_read_in_gbk() -> None:
    header = "流水号,导出时间,身份证,档案号,姓名,性别,测量时间,收缩压(kPa),舒张压(kPa),脉搏(次/分),血糖,餐前餐后,体重(斤),机号,操作员,备注\n"
    row = "000123,2026-04-03 18:00:00,,10100018,王禾,女,2026/4/3 7:45,18.4,11.5,70,7.20,餐后,125,07,田禾,\n"
    ((record, result),) = mapped("village_reading", "meter_csv", (header + row).encode("gbk"))
    assert record.key == ("390121103101", "000123")
    assert not result.held
    assert [o["code"]["coding"][1]["display"] for o in bodies(result, "Observation") if o["code"]["coding"][0]["code"] == "14743-9"] == ["餐后2小时"]


def test_a_card_of_the_other_sex_or_birth_date_is_a_note_and_nothing_is_lost() -> None:
    resident = {"idCard": "390101196205170246", "name": "王禾", "sex": "1", "birthDate": "1990-01-01"}
    post = {"orgCode": "390121103101", "readingId": "D", "measuredAt": "2026-04-01T08:30:00+08:00", "resident": resident, "bp": {"systolic": 120}}
    ((_, result),) = mapped("village_reading", "village_post", json.dumps(post).encode())
    assert not result.held
    assert {"sex-differs", "birth-date-differs"} <= {f.code for f in result.findings if f.severity == "note"}
    assert bodies(result, "Patient")[0]["gender"] == "male"
