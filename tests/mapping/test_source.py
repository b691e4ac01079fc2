"""Row to record: constants, prefixes, codes, units, limits, what must be there, key and stamp."""

from __future__ import annotations

import pytest

from gateway.mapping.source import HELD
from gateway.mapping.stamps import sortable
from gateway.record import RAW, Fields, Record
from tests.mapping import small

MAP = "map 报告 from report\nlet 患者 = person(身份证号, 病人号)\nPatient 人\n  name.text = 姓名\n" + "".join(
    f'ignore {n} because "x"\n' for n in ("机构代码", "报告号", "性别", "状态", "体温", "症状", "时间", "备注", "结果")
)


def made(profile: str = small.PROFILE, **fields: object) -> tuple[Fields, list[tuple[str, str]], Record]:
    binding = small.bind(MAP, profile=profile)
    record = small.record(binding, **fields)
    return record.fields, [(f.code, f.severity) for f in record.findings], record


def test_constant_fills_what_is_absent_only() -> None:
    profile = small.PROFILE + '[constants]\n"备注" = "@organisation"\n'
    assert made(profile)[0]["备注"] == "390121"
    assert made(profile, 备注="x")[0]["备注"] == "x"


def test_vendor_code_becomes_national_and_its_own_is_kept() -> None:
    profile = small.PROFILE + '[codes."性别"]\n"F" = "2"\n[codes."症状"]\n"疼" = "1"\n'
    fields, findings, _ = made(profile, 性别="F", 症状=["疼"])
    assert (fields["性别"], fields["症状"], fields[RAW]) == ("2", ["1"], {"性别": "F", "症状": {"1": "疼"}})
    assert findings == []


def test_unknown_vendor_code_is_never_taken_for_a_national_one() -> None:
    fields, findings, _ = made(small.PROFILE + '[codes."性别"]\n"F" = "2"\n', 性别="1")
    assert "性别" not in fields and findings == [("unknown-code", "note")]


def test_code_outside_the_national_list_is_noted() -> None:
    assert made(性别="7")[1] == [("unknown-code", "note")]


def test_prefix_by_organisation() -> None:
    profile = small.PROFILE + '[prefix."病人号"]\nby = "机构代码"\nA1 = "390121101"\n'
    fields, findings, _ = made(profile, 病人号="10100023")
    assert fields["病人号"] == "39012110110100023" and findings == []
    assert made(profile, 病人号="10100023", 机构代码="B9")[1] == [("no-prefix", "note")]
    assert made(profile, 病人号="39012110110100023")[0]["病人号"] == "39012110110100023"


def test_unit_of_the_vendor_is_converted_inside_the_dimension() -> None:
    form = small.FIELDS.replace("体温(℃),,,,decimal,,Cel,30,45,35,39", "血压,,,,decimal,,mmHg,40,300,,179")
    binding = small.bind(MAP, fields=form, profile=small.PROFILE + '[units]\n"体温" = "kPa"\n')
    record = small.record(binding, 体温="16.0")
    assert record.fields["体温"] == "120" and record.fields[RAW] == {"体温": "16.0"}


@pytest.mark.parametrize(("value", "expected"), [("36.5", []), ("39.5", [("alarm-value", "note")]), ("46", [("impossible-value", "hold")])])
def test_limits_of_the_form(value: str, expected: list[tuple[str, str]]) -> None:
    assert made(体温=value)[1] == expected


def test_row_beyond_possible_limits_is_held_alone() -> None:
    fields, findings, _ = made(结果=[{"次数": "99"}, {"次数": "3"}])
    assert fields["结果"] == [{"次数": "99", HELD: "次数"}, {"次数": "3"}]
    assert findings == [("impossible-value", "drop")]


def test_findings_name_the_senders_own_column() -> None:
    record = made(体温="46")[2]
    assert record.findings[0].source == "TEMP"


def test_key_and_missing_key() -> None:
    assert made()[2].key == ("A1", "R/1")
    _, findings, record = made(报告号=None)
    assert record.key == () and ("missing-key", "hold") in findings


def test_key_alternatives_do_not_collide() -> None:
    profile = small.PROFILE.replace('key = ["机构代码", "报告号"]', 'key = [["报告号"], ["病人号"]]')
    first = made(profile)[2].key
    second = made(profile, 报告号=None, 病人号="R/1")[2].key
    assert (first, second) == (("R/1",), ("@病人号", "R/1"))


STAMPS = {
    "2026-01-31 08:00:00": "2026-01-31T00:00:00.000000Z",
    "2026-01-31T08:00:00+08:00": "2026-01-31T00:00:00.000000Z",
    "2026-01-31T00:00:00.5Z": "2026-01-31T00:00:00.500000Z",
    "20260131080000": "2026-01-31T00:00:00.000000Z",
    "20260131080000.123+0900": "2026-01-30T23:00:00.123000Z",
    "2026/1/31 8:05": "2026-01-31T00:05:00.000000Z",
    "2026年1月31日": "2026-01-30T16:00:00.000000Z",
    "2026-02-30": None,
    "昨天": None,
}


@pytest.mark.parametrize("text", STAMPS)
def test_stamp_sorts_as_text_in_utc(text: str) -> None:
    assert sortable(text, "Asia/Shanghai") == STAMPS[text]


def test_bad_stamp_is_noted() -> None:
    _, findings, record = made(时间="昨天")
    assert record.stamp == "" and findings == [("bad-stamp", "note")]
