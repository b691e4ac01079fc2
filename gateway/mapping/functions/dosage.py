"""Dosage text: `每日2次,每次1片` `bid` `1片 tid 饭后` `10mg qn` -> Timing, dose Quantity, as-needed (https://hl7.org/fhir/R4/dosage.html)."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

from gateway.mapping.functions import Env, Example, Fault, function
from gateway.mapping.functions.numerals import plain_number
from gateway.mapping.functions.quantity import coded

_ABBREVIATIONS: dict[str, tuple[int, int, str, str]] = {  # frequency, period, unit, when
    "qd": (1, 1, "d", ""),
    "bid": (2, 1, "d", ""),
    "tid": (3, 1, "d", ""),
    "qid": (4, 1, "d", ""),
    "qod": (1, 2, "d", ""),
    "qn": (1, 1, "d", "HS"),
    "hs": (1, 1, "d", "HS"),
    "qm": (1, 1, "d", "MORN"),
    "qw": (1, 1, "wk", ""),
    "biw": (2, 1, "wk", ""),
    "tiw": (3, 1, "wk", ""),
    "st": (1, 0, "", ""),
    "stat": (1, 0, "", ""),
}
_CHINESE = {c: str(i) for i, c in enumerate("零一二三四五六七八九十")} | {"两": "2", "半": "0.5"}
_HOURLY = re.compile(r"q(\d{1,2})h")
_PER = re.compile(r"(?:每|一)?(\d{0,2})(日|天|周|星期|月|小时)(?:服用|口服|用)?,?(\d{1,2})(?:-\d{1,2})?次")
_ONCE_EVERY = re.compile(r"每?隔(日|天)(?:1次)?|(\d{1,2})次/(日|天|周|月)|每(\d{1,2})小时(\d{1,2})次")
_UNITS = {"日": "d", "天": "d", "周": "wk", "星期": "wk", "月": "mo", "小时": "h"}
_WHEN = {"睡前": "HS", "临睡": "HS", "饭前": "AC", "餐前": "AC", "饭后": "PC", "餐后": "PC", "餐中": "C", "随餐": "C", "晨起": "MORN", "早晨": "MORN"}
_DOSE = re.compile(
    r"(?:每次|一次|次)?[::]?(\d+(?:\.\d+)?|半)(?:-\d+(?:\.\d+)?)?(mg|g|ug|μg|ml|iu|u|片|粒|丸|袋|支|滴|喷|揿|贴|克|毫克|毫升|单位|万单位)",
    re.IGNORECASE,
)
_EACH = re.compile(r"(?:每次|一次|次)[::]?(\d+(?:\.\d+)?|半)([^\W\dA-Za-z]{1,4}|[A-Za-z]{1,3}(?![A-Za-z]))")


def _plain(text: str) -> str:
    """Half-width, Chinese numbers before counters as digits, no blanks."""
    numbered = re.sub(r"[一二三四五六七八九十两](?=次|日|天|片|粒|丸|袋|支|小时|周)", lambda m: _CHINESE[m[0]], unicodedata.normalize("NFKC", text))
    return "".join(numbered.split())


def repeat(text: str) -> dict[str, Any] | None:
    """Timing.repeat that the text spells out, None when it says nothing of how often."""
    plain = _plain(text)
    found = _spelt(plain) or _abbreviated(unicodedata.normalize("NFKC", text).lower())
    if found is None:
        return None
    frequency, period, unit, when = found
    if not period:
        return {"count": 1}
    body: dict[str, Any] = {"frequency": frequency, "period": Decimal(period), "periodUnit": unit}
    moments = [when] if when else list(dict.fromkeys(code for word, code in _WHEN.items() if word in plain))
    if moments and unit == "d":
        body["when"] = moments
    return body


def _spelt(plain: str) -> tuple[int, int, str, str] | None:
    if match := _ONCE_EVERY.search(plain):
        if match[1]:
            return 1, 2, "d", ""
        if match[2]:
            return int(match[2]), 1, _UNITS[match[3]], ""
        return int(match[5]), int(match[4]), "h", ""
    if match := _PER.search(plain):
        return int(match[3]), int(match[1] or 1), _UNITS[match[2]], ""
    if "立即" in plain:
        return 1, 0, "", ""
    if re.search(r"每晚|睡前|临睡", plain):
        return 1, 1, "d", "HS"
    return None


def _abbreviated(text: str) -> tuple[int, int, str, str] | None:
    for word in re.findall(r"[a-z]+(?:\d{1,2}[a-z])?", text.replace(".", "")):
        if match := _HOURLY.fullmatch(word):
            return 1, int(match[1]), "h", ""
        if word in _ABBREVIATIONS:
            return _ABBREVIATIONS[word]
    return None


@function(
    "timing",
    gives="Timing",
    doc="用药频次(bid、q8h、每日2次、隔日一次、睡前)",
    examples=[
        Example("bid", (), {"repeat": {"frequency": 2, "period": Decimal(1), "periodUnit": "d"}, "code": {"text": "bid"}}),
        Example(
            "每日3次,每次1片,饭后",
            (),
            {"repeat": {"frequency": 3, "period": Decimal(1), "periodUnit": "d", "when": ["PC"]}, "code": {"text": "每日3次,每次1片,饭后"}},
        ),
        Example("q8h", (), {"repeat": {"frequency": 1, "period": Decimal(8), "periodUnit": "h"}, "code": {"text": "q8h"}}),
        Example("隔日一次", (), {"repeat": {"frequency": 1, "period": Decimal(2), "periodUnit": "d"}, "code": {"text": "隔日一次"}}),
        Example("qn", (), {"repeat": {"frequency": 1, "period": Decimal(1), "periodUnit": "d", "when": ["HS"]}, "code": {"text": "qn"}}),
        Example("st", (), {"repeat": {"count": 1}, "code": {"text": "st"}}),
        Example("遵医嘱", (), Fault("timing-unread", "")),
    ],
)
def timing(value: str) -> dict[str, Any] | Fault:
    """Timing with the source's own words as code.text; words that say no frequency are kept as text and remarked."""
    body = repeat(value)
    words = {"code": {"text": value.strip()}}
    if body is None:
        return Fault("timing-unread", "没看懂用药频次, 已按原文保留; 应写作 bid、q8h、每日2次一类, 请核对", "note", words)
    return {"repeat": body, **words}


@function(
    "dose",
    args=("text",),
    optional=1,
    gives="Quantity",
    env=True,
    doc="每次剂量, 从“每次1片”“10mg bid”或单独的数值加单位中取",
    examples=[
        Example("每日2次,每次1片", (), {"value": Decimal("1"), "unit": "片", "system": "http://unitsofmeasure.org", "code": "{tablet}"}),
        Example("10", ("mg",), {"value": Decimal("10"), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}),
        Example("一次半片 qd", (), {"value": Decimal("0.5"), "unit": "片", "system": "http://unitsofmeasure.org", "code": "{tablet}"}),
        Example("每次100IU", (), {"value": Decimal("100"), "unit": "IU", "system": "http://unitsofmeasure.org", "code": "[IU]"}),
        Example("适量", (), Fault("dose-unread", "")),
    ],
)
def dose(env: Env, value: str, unit: str | None = None) -> dict[str, Any] | Fault:
    """Dose as a Quantity; a unit that is no unit of the table is kept as text."""
    number = plain_number(value)
    name = (unit or "").strip()
    if number is None:
        plain = _plain(value)
        match = _EACH.search(plain) or _DOSE.search(plain)
        if match is None:
            return Fault("dose-unread", "没看懂每次剂量, 应写作“每次1片”“10mg”, 请核对来源; 用法原文另行保留")
        number, name = Decimal(_CHINESE.get(match[1], match[1])), match[2]
    if not name:
        return {"value": number}
    return coded(number, name, env.units) or {"value": number, "unit": name}


@function(
    "as_needed",
    gives="boolean",
    doc="是否必要时使用(prn、必要时、疼痛时)",
    examples=[Example("必要时口服", (), True), Example("1片 prn", (), True), Example("每日2次", (), None)],
)
def as_needed(value: str) -> bool | None:
    """True when the text says so, else absent."""
    return True if re.search(r"必要时|需要时|疼痛时|发热时|prn|sos", unicodedata.normalize("NFKC", value).lower()) else None
