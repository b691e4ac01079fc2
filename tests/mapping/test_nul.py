"""NUL characters in a sender's texts (https://hl7.org/fhir/R4/datatypes.html#string)."""

from __future__ import annotations

from gateway.mapping.nul import may_hold, without


def test_damaged_values_are_left_out_wherever_they_stand() -> None:
    fields = {
        "姓名": "李\0",
        "电话": ["1", "2\0", "3"],
        "用药": [{"名称": "a\0", "用法": "口服"}, {"名称": "b"}],
        "住址": {"1": "x\0", "3": "县"},
        "性别": "1",
    }
    found = without(fields, {"姓名": "name", "用药/名称": "drug"})
    assert fields == {"电话": ["1", "3"], "用药": [{"用法": "口服"}, {"名称": "b"}], "住址": {"3": "县"}, "性别": "1"}
    assert [(f.code, f.source) for f in found] == [("nul-character", s) for s in ("name", "电话", "drug", "住址")]


def test_only_what_may_hold_one_is_looked_at() -> None:
    assert [may_hold(unit) for unit in (b"a\0b", b'"a\\u0000b"', rb"OBX|1|ST|K||\X00\|", b"ordinary")] == [True, True, True, False]
