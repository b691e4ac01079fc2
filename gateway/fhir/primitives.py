"""What the text or number of a primitive may look like (https://hl7.org/fhir/R4/datatypes.html#primitive).

The regular expressions are R4's, read for ASCII as they were written for; where the prose says more than the expression (no control characters,
a day that exists, 32 bits, base64 that decodes), the prose is checked.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.fhir.elements import load
from gateway.fhir.time import interval

__all__ = ["EXPECTED", "JSON_TYPES", "LONGEST", "TEXT", "fits"]

LONGEST = 1024 * 1024
"""Characters of a string (https://hl7.org/fhir/R4/datatypes.html#string)."""
JSON_TYPES: dict[str, tuple[frozenset[type], str]] = {
    "boolean": (frozenset({bool}), "true 或 false"),
    "integer": (frozenset({int}), "整数"),
    "positiveInt": (frozenset({int}), "整数"),
    "unsignedInt": (frozenset({int}), "整数"),
    "decimal": (frozenset({int, Decimal}), "数"),
}
"""Python types of a primitive in JSON and what they are called; the other primitives are `TEXT`."""
TEXT: tuple[frozenset[type], str] = (frozenset({str}), "文字")
EXPECTED = {
    "integer": "-2147483648 至 2147483647 的整数",
    "positiveInt": "1 至 2147483647 的整数",
    "unsignedInt": "0 至 2147483647 的整数",
    "decimal": "有限的十进制数",
    "string": "不空、不含控制字符、不超过 1 MB 的文字",
    "markdown": "不空、不含控制字符的文字",
    "code": "没有首尾空白的代码",
    "id": "1 至 64 个字母、数字、- 或 .",
    "uri": "没有空白的 URI",
    "url": "没有空白的 URL",
    "canonical": "没有空白的 URL, 后面可以有 |版本",
    "oid": "urn:oid: 加数字, 例如 urn:oid:1.2.156.112649",
    "uuid": "urn:uuid: 加小写十六进制, 例如 urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "date": "日期, 例如 2026、2026-02 或 2026-02-28",
    "dateTime": "日期或带时区的时刻, 例如 2026-02-28 或 2026-02-28T08:30:00+08:00",
    "instant": "带秒和时区的时刻, 例如 2026-02-28T08:30:00+08:00",
    "time": "时间, 例如 08:30:00",
    "base64Binary": "base64 文字",
}
"""What a value of the type looks like, for a person."""

_NO_TEXT = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
"""Control characters, and what neither UTF-8 nor XML can carry."""
_TEXT = re.compile(f"[^{_NO_TEXT}]+")
_BLANK = re.compile(r"[ \t\r\n]+", re.ASCII)


@lru_cache(maxsize=64)
def fits(type_: str) -> Callable[[Any], Any]:
    """Test whether a value that has the type's JSON type has its format; anything true means that it has."""
    if type_ in _TESTS:
        return _TESTS[type_]
    regex = load().types[type_].regex
    regex = r"\S+" if regex == r"\S*" else regex  # no value is empty
    pattern = re.compile(regex.replace("[^\\s]", r"\S").replace(r"\S", rf"[^\s{_NO_TEXT}]"), re.ASCII).fullmatch
    if type_ not in _DATES:
        return pattern
    return lambda text: pattern(text) and interval(text) is not None


def _string(text: str) -> bool:
    return len(text) <= LONGEST and _TEXT.fullmatch(text) is not None


def _markdown(text: str) -> bool:
    return _TEXT.fullmatch(text) is not None


def _base64(text: str) -> bool:
    try:
        return bool(binascii.a2b_base64(_BLANK.sub("", text), strict_mode=True))
    except (binascii.Error, ValueError):
        return False


_DATES = frozenset({"date", "dateTime", "instant"})
_TESTS: dict[str, Callable[[Any], Any]] = {
    "boolean": lambda value: True,
    "integer": lambda value: -(2**31) <= value < 2**31,
    "positiveInt": lambda value: 1 <= value < 2**31,
    "unsignedInt": lambda value: 0 <= value < 2**31,
    "decimal": lambda value: type(value) is int or value.is_finite(),
    "string": _string,
    "markdown": _markdown,
    "base64Binary": _base64,
}
