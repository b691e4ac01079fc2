"""Plain numbers and yes/no: decimal, integer, positive, boolean, money."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

from gateway.mapping.functions import Example, Fault, function

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_POWER = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*[x×*]\s*10\s*\^?\s*([+-]?\d{1,3})")
_YES = frozenset({"1", "y", "yes", "t", "true", "是", "有", "真", "对"})
_NO = frozenset({"0", "n", "no", "f", "false", "否", "无", "没有", "假", "非"})


def plain_number(text: str) -> Decimal | None:
    """The number as written, digits kept (`5.60`); None when it is not a number. Full-width digits, `1,200` and `1.2×10^5` are read."""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    folded = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    if _NUMBER.fullmatch(folded):
        return Decimal(folded)
    if _THOUSANDS.fullmatch(folded):
        return Decimal(folded.replace(",", ""))
    if match := _POWER.fullmatch(folded):
        return Decimal(match[1]).scaleb(int(match[2]))
    return None


def not_a_number() -> Fault:
    """The fault of a value that should be a number."""
    return Fault("not-a-number", "应为数值(如 5.60), 收到的不是数值; 请核对来源的这一列, 文字说明请写在备注")


@function(
    "decimal",
    gives="decimal",
    doc="小数, 保持来源写的位数(5.60 不变成 5.6)",
    examples=[
        Example("5.60", (), Decimal("5.60")),
        Example("１２．５", (), Decimal("12.5")),
        Example("1,200", (), Decimal("1200")),
        Example("约5", (), Fault("not-a-number", "")),
    ],
)
def decimal(value: str) -> Decimal | Fault:
    """Exact decimal."""
    number = plain_number(value)
    return not_a_number() if number is None else number


@function(
    "integer",
    gives="integer",
    doc="整数",
    examples=[Example("12", (), 12), Example("12.0", (), 12), Example("-3", (), -3), Example("12.5", (), Fault("not-an-integer", ""))],
)
def integer(value: str) -> int | Fault:
    """Integer; `12.0` counts as 12."""
    number = plain_number(value)
    if number is None:
        return not_a_number()
    if number != number.to_integral_value() or abs(number) > 2**31 - 1:
        return Fault("not-an-integer", "应为整数, 收到的带小数或过大, 请核对来源")
    return int(number)


@function(
    "positive",
    gives="positiveInt",
    doc="正整数(序号、次数)",
    examples=[Example("1", (), 1), Example("0", (), Fault("not-positive", "")), Example("二", (), Fault("not-a-number", ""))],
)
def positive(value: str) -> int | Fault:
    """positiveInt: 1, 2, 3 ..."""
    number = integer(value)
    if isinstance(number, int) and number < 1:
        return Fault("not-positive", "应为从1开始的正整数, 请核对来源")
    return number


@function(
    "boolean",
    gives="boolean",
    doc="是否; 认 1/0、Y/N、是/否、有/无、true/false",
    examples=[
        Example("是", (), True),
        Example("N", (), False),
        Example("1", (), True),
        Example("无", (), False),
        Example("2", (), Fault("not-a-boolean", "")),
    ],
)
def boolean(value: str) -> bool | Fault:
    """True or false of a yes/no in any of the usual ways of writing."""
    text = unicodedata.normalize("NFKC", value).strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    return Fault("not-a-boolean", "应为是/否(1/0、Y/N、是/否), 收到的是其他值; 请在来源配置的 [codes] 里把它译成 1 或 0")


@function(
    "money",
    gives="Money",
    doc="人民币金额",
    examples=[
        Example("12.50", (), {"value": Decimal("12.50"), "currency": "CNY"}),
        Example("¥12.50元", (), {"value": Decimal("12.50"), "currency": "CNY"}),
        Example("免费", (), Fault("not-a-number", "")),
    ],
)
def money(value: str) -> dict[str, Any] | Fault:
    """An amount in yuan."""
    number = plain_number(unicodedata.normalize("NFKC", value).strip().lstrip("¥").rstrip("元"))
    return not_a_number() if number is None else {"value": number, "currency": "CNY"}
