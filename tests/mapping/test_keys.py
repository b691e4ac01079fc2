"""Keys: one text form however it is written, and one finding for what is empty."""

from __future__ import annotations

import pytest

from gateway.mapping.functions import Env
from gateway.mapping.keys import key_date, key_moment
from tests.mapping.small import CONTEXT, FIELDS, PROFILE, bind, record
from tests.mapping.test_compile import HEAD, REPORT, RESULT, whole

ENV = Env("Asia/Shanghai", "urn:x", "https://base.invalid")
DATED = FIELDS.replace("备注,备注,,,,text,,,,,,,no", "备注,检查日期,,,,date,,,,,,,key")
MAP = whole(
    HEAD
    + 'Observation 单\n  identifier = key("day", 机构代码, 备注, 时间)\n  status = "final"\n  code = code("loinc", "1")\n  subject = 患者\n'
    + 'Observation 双\n  identifier = key("day2", 机构代码, 备注, 时间)\n  status = "final"\n  code = code("loinc", "2")\n  subject = 患者\n'
    + "  derivedFrom = 单\n"
)
KEYED = PROFILE.replace('key = ["机构代码", "报告号"]', 'key = ["机构代码", "备注", "时间"]')


@pytest.mark.parametrize("text", ["2026/3/2", "2026-03-02", "20260302", "2026年3月2日", " 2026.3.2 "])
def test_a_day_has_one_form(text: str) -> None:
    assert key_date(text) == "2026-03-02"


def test_what_is_no_date_stays_as_written() -> None:
    assert (key_date("2026-02-30"), key_moment(ENV, "上午")) == ("2026-02-30", "上午")


def test_two_ways_of_writing_are_one_record_and_one_resource() -> None:
    binding = bind(MAP, fields=DATED, profile=KEYED)
    made = [
        record(binding, 备注=day, 时间=moment, 机构代码=organisation)
        for day, moment, organisation in (("2026/3/2", "20260302083000", "A1"), ("2026-03-02", "2026-03-02 08:30:00", "A1 "))
    ]
    assert made[0].key == made[1].key == ("A1", "2026-03-02", "2026-03-02T08:30:00+08:00")
    results = [binding.map(r, CONTEXT) for r in made[:1]] + [binding.map(record(binding, 备注="2026年3月2日", 时间="2026/3/2 8:30"), CONTEXT)]
    ids = [[d.id for d in r.drafts] for r in results]
    assert ids[0] == ids[1]
    assert results[0].drafts[0].body["identifier"][0]["value"] == "A1/2026-03-02/2026-03-02T08:30:00+08:00"


def test_an_empty_key_is_one_finding_that_names_the_empty_fields_only() -> None:
    binding = bind(MAP, fields=DATED, profile=KEYED)
    result = binding.map(record(binding, 时间="2026-03-02"), CONTEXT)
    assert [(f.code, f.severity, f.source) for f in result.findings] == [("missing-key", "hold", "检查日期")]
    assert result.drafts == []


def test_an_empty_key_of_a_row_is_said_once_for_all_its_blocks() -> None:
    other = RESULT.replace("单项", "副项").replace('"item"', '"item2"')
    binding = bind(whole(HEAD + REPORT + RESULT + other))
    result = binding.map(record(binding, 状态="1", 结果=[{"值": "1"}, {"值": "2"}]), CONTEXT)
    assert [(f.code, f.source) for f in result.findings if f.code == "missing-key"] == [("missing-key", "ITEM")]
