"""FHIR JSON keeps every digit, and compares resources by what they say."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.json import canonical, content_digest, decode, encode, encode_pretty

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,12})\.[0-9]{1,12}", fullmatch=True)


@pytest.mark.parametrize("text", ["5.60", "0.00", "-0.0", "100.000", "3.14159265358979323846"])
def test_decimals_keep_their_digits(text: str) -> None:
    assert encode(decode(f'{{"value":{text}}}'.encode())) == f'{{"value":{text}}}'.encode()


@given(NUMBERS)
def test_any_decimal_survives(text: str) -> None:
    value = decode(text)
    assert isinstance(value, Decimal)
    again = decode(encode(value))
    assert again.as_tuple() == Decimal(text).as_tuple()  # value and precision, always
    if "E" not in str(value):  # below a millionth Decimal writes an exponent, with the same digits
        assert encode(value).decode() == text


def test_text_order_and_chinese_survive() -> None:
    body = '{"z":1,"a":["收缩压",true,null,{"b":"\\n"}]}'.encode()
    assert encode(decode(body)) == body
    assert decode(encode_pretty(decode(body))) == decode(body)
    assert encode_pretty({"a": [1]}).endswith(b"\n")


@pytest.mark.parametrize("body", [b"{", b'{"a":01}', b'"\xff"', b"NaN"])
def test_what_is_not_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        decode(body)


def test_versions_and_key_order_do_not_make_two_resources_differ() -> None:
    one = {"resourceType": "Patient", "id": "1", "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z"}, "gender": "female"}
    other = {"gender": "female", "id": "1", "resourceType": "Patient"}
    assert canonical(one) == canonical(other)
    assert content_digest(one) == content_digest(other)
    assert one["meta"] == {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "changed",
    [
        {"value": Decimal("5.6")},
        {"value": Decimal("5.60"), "list": [2, 1]},
        {"value": Decimal("5.60"), "list": [1, 2], "meta": {"profile": ["http://p"], "versionId": "1"}},
    ],
)
def test_digits_order_of_lists_and_other_meta_do(changed: dict[str, object]) -> None:
    assert canonical(changed) != canonical({"value": Decimal("5.60"), "list": [1, 2]})
