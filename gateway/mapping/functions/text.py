"""Text: trim, upper, lower, lines, concat, split, phone."""

from __future__ import annotations

import re
import unicodedata

from gateway.mapping.functions import Example, Fault, function

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BREAK = re.compile(r"\\\.br\\|<br\s*/?>|\r\n?|\n|~~")


@function(
    "trim", gives="string", doc="去掉首尾空白, 中间连续空白并为一个", examples=[Example("  血 \t 清 ", (), "血 清"), Example("\u3000", (), None)]
)
def trim(value: str) -> str | None:
    """The text without surplus blanks; None when nothing is left."""
    return " ".join(value.split()) or None


@function("upper", gives="string", doc="转大写", examples=[Example("i10.x00", (), "I10.X00")])
def upper(value: str) -> str:
    """Upper case."""
    return value.upper()


@function("lower", gives="string", doc="转小写", examples=[Example("BID", (), "bid")])
def lower(value: str) -> str:
    """Lower case."""
    return value.lower()


@function(
    "lines",
    gives="string",
    doc="多行文字: 统一换行(含 HL7 的 \\.br\\), 去掉空行和控制符",
    examples=[Example("血糖偏高\\.br\\建议复查\r\n\r\n", (), "血糖偏高\n建议复查"), Example(" \n ", (), None)],
)
def lines(value: str) -> str | None:
    """Several lines of text with plain line breaks."""
    return "\n".join(line.strip() for line in _CONTROL.sub("", _BREAK.sub("\n", value)).split("\n") if line.strip()) or None


@function(
    "concat",
    args=("text", "text", "text", "text", "text", "text"),
    optional=5,
    gives="string",
    doc="依次连接几个值或文字, 没有的跳过",
    examples=[Example("每次", ("1", "片"), "每次1片"), Example("县医院", (None, "内科"), "县医院内科")],
)
def concat(value: str, *others: str | None) -> str:
    """The values one after the other."""
    return value + "".join(o for o in others if o)


@function(
    "concat_with",
    args=("text", "text", "text", "text"),
    optional=2,
    gives="string",
    doc="用分隔文字连接几个值, 没有的跳过",
    examples=[Example("苯磺酸氨氯地平片", (" ", "5mg×7片", None), "苯磺酸氨氯地平片 5mg×7片"), Example("甲", ("/", None), "甲")],
)
def concat_with(value: str, separator: str, *others: str | None) -> str:
    """The values with the separator between them."""
    return separator.join((value, *(o for o in others if o)))


@function(
    "prefixed",
    args=("text",),
    gives="string",
    doc="前面加上一段文字",
    examples=[Example("空腹", ("测量时机:",), "测量时机:空腹")],
)
def prefixed(value: str, before: str | None) -> str:
    """The text with another before it."""
    return (before or "") + value


@function(
    "split",
    args=("text",),
    gives="any",
    doc="按分隔符(其中任一个字)拆成几个值",
    examples=[Example("头晕、心悸,乏力", ("、,",), ["头晕", "心悸", "乏力"]), Example("、", ("、",), None)],
)
def split(value: str, separators: str) -> list[str] | None:
    """The pieces between any of the separator characters, blanks removed."""
    pieces = re.split("[" + re.escape(separators) + "]", value)
    return [p.strip() for p in pieces if p.strip()] or None


@function(
    "phone",
    gives="string",
    doc="电话号码: 去掉空格、横线和 +86; 位数不对时按原文保留并提示",
    examples=[
        Example("138 0000 0000", (), "13800000000"),
        Example("+86-13800000000", (), "13800000000"),
        Example("0571-00000000", (), "0571-00000000"),
        Example("1380000", (), "1380000"),
        Example("无", (), Fault("phone-form", "")),
        Example("138000000001", (), Fault("phone-form", "")),
    ],
)
def phone(value: str) -> str | Fault:
    """A mobile or fixed number."""
    text = unicodedata.normalize("NFKC", value).strip()
    digits = re.sub(r"[\s\-()]", "", text).removeprefix("+86")
    if re.fullmatch(r"1\d{10}", digits):
        return digits
    if re.fullmatch(r"0\d{9,11}", digits):
        return text
    if re.fullmatch(r"\d{3,8}", digits):
        return digits
    return Fault("phone-form", "应为11位手机号或带区号的固定电话, 已按原文保留; 请核对来源", "note", text)
