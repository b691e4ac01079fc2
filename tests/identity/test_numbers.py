"""Numbers of persons and organisations, judged against python-stdnum."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.cn import uscc as stdnum_uscc

from gateway.errors import Fault
from gateway.identity.numbers import archive_number, check_character, id_card, person_number, sex_and_birth, upgrade, uscc

DATES = st.dates(date(1900, 1, 1), date(2026, 1, 1))


def card(area: str, born: date, serial: int) -> str:
    first = f"{area}{born:%Y%m%d}{serial:03d}"
    return first + check_character(first)


@given(born=DATES, serial=st.integers(0, 999))
def test_gb11643_check_character_as_stdnum(born: date, serial: int) -> None:
    number = card("390101", born, serial)
    assert ric.calc_check_digit(number) == number[-1]
    read = id_card(number)
    assert not isinstance(read, Fault)
    assert (read.birth_date, read.sex) == (born.isoformat(), "male" if serial % 2 else "female")


@given(born=DATES, serial=st.integers(0, 999), place=st.integers(0, 16), digit=st.sampled_from("0123456789"))
def test_gb11643_finds_every_single_wrong_digit(born: date, serial: int, place: int, digit: str) -> None:
    right = card("390101", born, serial)
    wrong = right[:place] + digit + right[place + 1 :]
    assert isinstance(id_card(wrong), Fault) == (wrong != right)


@given(born=st.dates(date(1910, 1, 1), date(1999, 12, 31)), serial=st.integers(0, 999))
def test_15_digits_become_18(born: date, serial: int) -> None:
    new = card("390101", born, serial)
    assert upgrade(new[:6] + new[8:17]) == new
    old, _ = person_number("居民身份证", new[:6] + new[8:17])
    eighteen, _ = person_number("居民身份证", new)
    assert old == eighteen is not None


def test_a_card_that_really_ends_in_x_is_normalised() -> None:
    first = next(f for n in range(1000) if check_character(f := f"39010119700101{n:03d}") == "X")
    full_width = first.translate({ord("0") + i: ord("０") + i for i in range(10)})
    for written in (f"{first}x", f"{first}Ⅹ", f"{full_width}Ｘ", f" {first[:6]} {first[6:14]} {first[14:]}X ", f"'{first}X"):
        number, fault = person_number("居民身份证", written)
        assert fault is None and number is not None
        assert number.value == first + "X"
        assert number.system == "urn:oid:2.16.156.10011.1.3"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("3.90101E+17", "id-card-form"),
        ("12345", "id-card-form"),
        ("无", "id-card-form"),
        ("039010119700101001", "id-card-form"),
        ("390101700230001", "id-card-birth-date"),
        ("39010119700101033" + "?", "id-card-form"),
    ],
)
def test_bad_cards_say_what_is_wrong(raw: str, code: str) -> None:
    number, fault = person_number("居民身份证", raw)
    assert number is None
    assert fault is not None and fault.code == code
    assert raw not in fault.message, "a number of a person never stands in a message"


def test_first_digit_9_is_a_foreigners_permanent_residence_card() -> None:
    first = "91010119800102002"
    number, fault = person_number("居民身份证", first + check_character(first), {"外国人永久居留身份证": "https://y.test/ids/fpr", "居民身份证": "x"})
    assert fault is None and number is not None
    assert number.system == "https://y.test/ids/fpr" and number.strong


def test_sex_and_birth_date_of_a_card() -> None:
    assert sex_and_birth(card("390101", date(1962, 5, 17), 24)) == ("female", "1962-05-17")
    assert sex_and_birth("390101196205170240") is None


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("39010100110100001", None),
        ("390101-001-101-00001", None),
        ("10100001", "archive-number-short"),
        ("3901010011010000", "archive-number-form"),
        ("39010100110100000", "archive-number-form"),
        ("39010100110A00001", "archive-number-form"),
    ],
)
def test_archive_number_has_17_digits(raw: str, code: str | None) -> None:
    number, fault = person_number("健康档案编号", raw)
    assert (fault.code if fault else None) == code
    if number is not None:
        assert number.strong and number.value == archive_number(raw) == "39010100110100001"


def test_other_numbers_are_weak_and_kept_as_written() -> None:
    number, fault = person_number("护照", " E12345678 ")
    assert fault is None and number is not None
    assert (number.value, number.strong) == ("E12345678", False)
    assert person_number("护照", " ") == (None, None)
    assert person_number("没有这个", "1")[1] is not None


@given(st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=17, max_size=17))
def test_gb32100_as_stdnum(first: str) -> None:
    code = first + stdnum_uscc.calc_check_digit(first)
    assert uscc(code) == code
    other = code[:-1] + ("0" if code[-1] != "0" else "1")
    assert isinstance(uscc(other), Fault)
