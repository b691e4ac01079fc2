"""Units: print forms to UCUM, validity, conversion inside a dimension with exact decimals."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.builtin import MAPPINGS
from gateway.fhir.ucum import UnitError, Units, builtin_units, convert, is_valid, parse


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((MAPPINGS / "tables" / f"{table}.csv").read_text("utf-8").splitlines()))


ITEMS = rows("items")
PRINTED = [r["print"] for r in rows("units")]
PLAIN = ["mmol/L", "mg/dL", "g/L", "umol/L", "10*9/L", "mm[Hg]", "kPa", "cm", "kg", "m[IU]/L", "/min", "U/L"]


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        *((p, "10*9/L") for p in ("10^9/L", "×10⁹/L", "10E9/L", "G/L", "x10^9/L", "*10^9/L", "10*9/L", "10⁹/L", "× 10^9 /L")),
        *((p, "umol/L") for p in ("μmol/L", "µmol/L", "umol/L", " umol/L ", "umol/l")),
        *((p, "kg/m2") for p in ("kg/m²", "kg/㎡", "Kg/M2", "kg/m^2")),
        ("10^12/L", "10*12/L"),
        ("mIU/L", "m[IU]/L"),
        ("u/L", "U/L"),
        ("IU/L", "[IU]/L"),
        ("mmHg", "mm[Hg]"),
        ("次/分", "/min"),
        ("℃", "Cel"),
        ("个/HP", "/[HPF]"),
        ("ml/min/1.73m²", "mL/min/{1.73_m2}"),
        ("S/CO", "{S_CO}"),
    ],
)
def test_print_forms_of_chinese_laboratories(printed: str, code: str) -> None:
    assert builtin_units().code(printed) == code


def test_gram_and_giga_are_not_confused() -> None:
    assert builtin_units().code("g/L") == "g/L"
    assert builtin_units().code("G/L") == "10*9/L"
    assert builtin_units().code("U/L") != builtin_units().code("IU/L")


@pytest.mark.parametrize(
    "code", ["mg/dL", "[IU]/L", "mm[Hg]", "mL/min/{1.73_m2}", "/[HPF]", "10*9/L", "kg/m2", "u[IU]/mL", "cm[H2O]", "{tablet}", "g.m/s2"]
)
def test_ucum_codes(code: str) -> None:
    assert is_valid(code)


@pytest.mark.parametrize("code", ["", "mmHg", "次/分", "mmol /L", "foo", "10*9//L", "m(", "{片}", "Cel/L", "kmin", "0"])
def test_what_is_no_ucum_code(code: str) -> None:
    assert not is_valid(code)


@pytest.mark.parametrize(
    ("value", "source", "target", "molar_mass", "expected"),
    [
        ("126", "mg/dL", "mmol/L", "180.156", "6.99"),
        ("7.0", "mmol/L", "mg/dL", "180.156", "126"),
        ("1.02", "mg/dL", "umol/L", "113.12", "90.2"),
        ("1.00", "mg/mmol", "mg/g", "113.12", "8.84"),
        ("12.8", "g/dL", "g/L", None, "128"),
        ("5.60", "g/dL", "g/L", None, "56.0"),
        ("17.3", "kPa", "mm[Hg]", None, "130"),
        ("98.6", "[degF]", "Cel", None, "37.0"),
        ("0.42", "L/L", "%", None, "42"),
        ("5.60", "mmol/L", "mmol/L", None, "5.60"),
    ],
)
def test_conversion_keeps_sensible_precision(value: str, source: str, target: str, molar_mass: str | None, expected: str) -> None:
    found = convert(Decimal(value), source, target, Decimal(molar_mass) if molar_mass else None)
    assert str(found) == expected


def test_local_units_are_converted() -> None:
    assert str(builtin_units().convert(Decimal("125"), "斤", "kg")) == "62.5"
    assert str(builtin_units().convert(Decimal("2.5"), "尺", "cm")) == "83.3"
    assert str(builtin_units().convert(Decimal("0.2"), "两", "g")) == "10.0"


@pytest.mark.parametrize(("source", "target"), [("mmol/L", "kg"), ("mg/dL", "mmol/L"), ("[IU]/L", "U/L"), ("/[HPF]", "/uL")])
def test_other_dimensions_are_refused(source: str, target: str) -> None:
    with pytest.raises(UnitError, match=r"换算|量纲|摩尔质量"):
        convert(Decimal("5.6"), source, target)


@given(st.decimals("0.001", "99999", places=3), st.sampled_from(PLAIN), st.sampled_from(PLAIN))
def test_there_and_back_is_the_same_within_three_digits(value: Decimal, source: str, target: str) -> None:
    if parse(source).dimension != parse(target).dimension:
        with pytest.raises(UnitError):
            convert(value, source, target)
        return
    back = convert(convert(value, source, target), target, source)
    assert abs(back - value) <= value * Decimal("0.01")


@pytest.mark.parametrize("item", [i for i in ITEMS if i["ucum"]], ids=lambda i: i["loinc"])
def test_laboratory_items_have_a_ucum_unit_and_ordered_limits(item: dict[str, str]) -> None:
    assert is_valid(item["ucum"])
    limits = [Decimal(item[c]) for c in ("possible_low", "alarm_low", "alarm_high", "possible_high") if item[c]]
    assert limits == sorted(limits)


def test_a_glucose_of_90_mmol_is_beyond_what_is_possible() -> None:
    for item in ITEMS:
        if "血糖" in item["display"] and item["ucum"] == "mmol/L":
            assert Decimal(item["possible_high"]) < 90


@pytest.mark.parametrize("printed", PRINTED)
def test_every_print_form_of_the_table_is_found(printed: str) -> None:
    assert is_valid(str(builtin_units().code(printed)))


def test_a_faulty_table_names_its_line() -> None:
    with pytest.raises(UnitError, match=r"units.csv:3"):
        Units("print,ucum,factor\nmmHg,mm[Hg],\n斤,jin,\n".encode())
