"""Results and reference ranges in the many ways a LIS prints them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mapping.functions import Choice, Env, Fault
from gateway.mapping.functions.results import limits, result

ENV = Env(zone="Asia/Shanghai", authority="urn:example:lis", base="https://y.test/fhir")


def made(text: str, unit: str | None = "mmol/L") -> Choice:
    found = result(ENV, text, unit)
    assert isinstance(found, Choice)
    return found


def flag(choice: Choice) -> str | None:
    listed: list[Any] = choice.extra.get("interpretation", [])
    return listed[0]["coding"][0]["code"] if listed else None


@given(st.decimals(0, 10000, places=2), st.sampled_from(["", ">", "<", "≥", "≤", ">=", "<=", "＞", "＜"]))
def test_numbers_keep_their_digits_and_comparator(number: Decimal, sign: str) -> None:
    quantity = made(f"{sign}{number}").value
    assert str(quantity["value"]) == str(number)
    assert quantity.get("comparator") == ({"≥": ">=", "≤": "<=", "＞": ">", "＜": "<"}.get(sign, sign) or None)


@pytest.mark.parametrize(
    ("text", "code"),
    [("7.8↑", "H"), ("↑7.8", "H"), ("7.8 ↓", "L"), ("28.4↑↑", "HH"), ("1.1↓↓", "LL"), ("7.8 H", "H"), ("7.8(L)", "L"), ("*7.8", "A"), ("7.8高", "H")],
)
def test_marks_of_abnormality_come_off_the_value(text: str, code: str) -> None:
    choice = made(text)
    assert choice.type == "Quantity"
    assert str(choice.value["value"]) in text
    assert flag(choice) == code


@pytest.mark.parametrize(
    ("text", "code", "meaning"),
    [
        ("阴性(-)", "negative", "NEG"),
        ("阴性", "negative", "NEG"),
        ("(-)", "negative", "NEG"),
        ("－", "negative", "NEG"),
        ("Negative", "negative", "NEG"),
        ("±", "trace", None),
        ("+-", "trace", None),
        ("+", "1+", "POS"),
        ("1+", "1+", "POS"),
        ("++", "2+", "POS"),
        ("阳性(++)", "2+", "POS"),
        ("+++", "3+", "POS"),
        ("4+", "4+", "POS"),
        ("阳性（+）", "positive", "POS"),
        ("弱阳性", "weak-positive", "POS"),
        ("未检出", "not-detected", "NEG"),
        ("可疑", "indeterminate", None),
    ],
)
def test_qualitative_results_are_coded(text: str, code: str, meaning: str | None) -> None:
    choice = made(text, None)
    assert choice.type == "CodeableConcept"
    assert choice.value["coding"][0]["code"] == code
    assert choice.value["text"] == text
    assert flag(choice) == meaning


@pytest.mark.parametrize(("text", "kind"), [("1:80", "Ratio"), ("1：160", "Ratio"), (">1:320", "Ratio"), ("3.3~6.1", "Range"), ("0-1", "Range")])
def test_titres_and_ranges(text: str, kind: str) -> None:
    assert made(text, None).type == kind


@pytest.mark.parametrize("text", ["见图文报告", "O型", "黄色,微混", "标本溶血", "2026-01-31", "中国株", "A/B", "12:30:15"])
def test_other_text_stays_text(text: str) -> None:
    assert made(text, None) == Choice("string", text)


def test_dash_is_negative_without_unit_and_missing_with_one() -> None:
    assert made("-", None).value["coding"][0]["code"] == "negative"
    found = result(ENV, "-", "mmol/L")
    assert isinstance(found, Fault) and found.code == "no-result"


def test_an_unknown_unit_is_kept_and_remarked() -> None:
    found = result(ENV, "5.60", "某单位")
    assert isinstance(found, Fault) and found.severity == "note"
    assert found.value.value == {"value": Decimal("5.60"), "unit": "某单位"}


def test_large_numbers_of_copies() -> None:
    assert made("1.2×10^5", "IU/mL").value["value"] == Decimal("1.2E+5")
    assert made("<5.0E+02", "IU/mL").value["comparator"] == "<"


@given(st.text(max_size=30), st.sampled_from([None, "mmol/L", "", "某单位"]))
def test_no_text_breaks_it(text: str, unit: str | None) -> None:
    assert isinstance(result(ENV, text, unit), Choice | Fault)
    low, high = limits(text)
    assert low is None or high is None or low <= high


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3.3~6.1", "3.3", "6.1"),
        ("3.3--6.1", "3.3", "6.1"),
        ("3.9-6.10", "3.9", "6.10"),
        ("3.5 — 5.3", "3.5", "5.3"),
        ("(3.5-5.3)", "3.5", "5.3"),
        ("-3~3", "-3", "3"),
        ("≤5.2", None, "5.2"),
        ("<5.2", None, "5.2"),
        ("＞60", "60", None),
        ("0~40 U/L", "0", "40"),
        ("-", None, None),
        ("--", None, None),
        ("阴性", None, None),
        ("1-3岁:5-10", None, None),
        ("男:3.8-5.1;女:3.5-5.0", None, None),
    ],
)
def test_reference_ranges(text: str, low: str | None, high: str | None) -> None:
    found = limits(text)
    assert tuple(None if v is None else str(v) for v in found) == (low, high)


@pytest.mark.parametrize(("sex", "low"), [("1", "57"), ("2", "41"), ("male", "57"), ("female", "41"), ("", None)])
def test_ranges_by_sex(sex: str, low: str | None) -> None:
    found = limits("男:57-97;女:41-81", sex)[0]
    assert (None if found is None else str(found)) == low
