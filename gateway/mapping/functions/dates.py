"""Dates and times as senders write them -> FHIR date, dateTime, instant, time (https://hl7.org/fhir/R4/datatypes.html#dateTime).

Precision is kept: `2026-01` stays a month. A time without zone takes the zone of the source. An impossible date is a Fault.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.mapping.functions import Env, Example, Fault, function

_SEPARATED = re.compile(r"(\d{4})(?:[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?|年)?(?:[T\s]*(\d{1,2}[:时]\d.*|\d{1,2}时))?$")
_COMPACT = re.compile(r"(\d{4})(\d{2})?(\d{2})?(?:T?(\d{2})(?:(\d{2})(?:(\d{2})(\.\d+)?)?)?)?([+-]\d{2}:?\d{2}|Z)?$")
_CLOCK = re.compile(r"(\d{1,2})(?:[:时](\d{1,2}))?(?:[:分](\d{1,2}))?(\.\d+)?[时分秒]?\s*([+-]\d{2}:?\d{2}|Z)?$")


class _Parts(NamedTuple):
    """A written date taken apart; `zone` as written."""

    year: int
    month: int | None
    day: int | None
    clock: tuple[int, int, int] | None
    fraction: str
    zone: str


@lru_cache(maxsize=8192)
def _read(text: str) -> _Parts | Fault:
    """Takes a written date apart and checks it against the calendar."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if plain[:4].isdigit() and (match := _COMPACT.fullmatch(plain)) and (len(plain) == 4 or plain[4:6].isdigit()):
        year, month, day, hour, minute, second, fraction, zone = match.groups()
    elif match := _SEPARATED.fullmatch(plain):
        year, month, day, rest = match.groups()
        clock = _CLOCK.fullmatch(rest) if rest else None
        if rest and clock is None:
            return _unreadable()
        hour, minute, second, fraction, zone = clock.groups() if clock else (None,) * 5
    else:
        return _unreadable()
    found = _Parts(int(year), int(month) if month else None, int(day) if day else None, None, fraction or "", zone or "")
    at = (int(hour), int(minute or 0), int(second or 0)) if hour else None
    try:
        dt.date(found.year, 1 if found.month is None else found.month, 1 if found.day is None else found.day)
        if at is not None:
            if at == (24, 0, 0):
                return Fault("impossible-date", "时间写作24时整, 应写作次日00:00, 请来源系统更正")
            dt.time(*at)
    except ValueError:
        return Fault("impossible-date", "日期或时间不存在(如2月30日、25时), 应为日历上有的日期, 请来源系统更正")
    return found._replace(clock=at) if found.day else found


def _unreadable() -> Fault:
    return Fault("unreadable-date", "看不懂的日期, 应写作 2026-01-31、20260131 或 2026年1月31日(可带时间 08:05:00), 请更正")


def _offset(parts: _Parts, zone: str) -> str:
    """The zone as `+08:00`: the one written, else that of the source on that day."""
    written = parts.zone
    if written == "Z":
        return "Z"
    if written:
        return written if ":" in written else f"{written[:3]}:{written[3:]}"
    hour, minute, second = parts.clock or (0, 0, 0)
    at = dt.datetime(parts.year, parts.month or 1, parts.day or 1, hour, minute, second, tzinfo=ZoneInfo(zone))
    text = at.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"


def _day(parts: _Parts) -> str:
    year, month, day = parts[:3]
    return f"{year:04}-{month:02}-{day:02}" if day else f"{year:04}-{month:02}" if month else f"{year:04}"


@lru_cache(maxsize=8192)
def _moment(value: str, zone: str) -> str | Fault:
    """With a time: to the second, with zone. Without: the date in its own precision."""
    parts = _read(value)
    if isinstance(parts, Fault) or parts.clock is None:
        return parts if isinstance(parts, Fault) else _day(parts)
    hour, minute, second = parts.clock
    return f"{_day(parts)}T{hour:02}:{minute:02}:{second:02}{parts.fraction}{_offset(parts, zone)}"


@function(
    "date",
    gives="date",
    memo=True,
    doc="日期; 各种写法归一, 只有年或年月时保持原精度, 带时间时只取日期",
    examples=[
        Example("2026年1月31日", (), "2026-01-31"),
        Example("20260131080500", (), "2026-01-31"),
        Example("2026/1/3 8:05", (), "2026-01-03"),
        Example("2026-01", (), "2026-01"),
        Example("1951", (), "1951"),
        Example("2026-02-30", (), Fault("impossible-date", "")),
        Example("不详", (), Fault("unreadable-date", "")),
    ],
)
def date(value: str) -> str | Fault:
    """FHIR date of a written date."""
    parts = _read(value)
    return parts if isinstance(parts, Fault) else _day(parts)


@function(
    "dateTime",
    gives="dateTime",
    env=True,
    memo=True,
    doc="日期时间; 没有时区的时间取来源的时区, 只有日期时保持原精度",
    examples=[
        Example("2026-01-31 08:05", (), "2026-01-31T08:05:00+08:00"),
        Example("20260131080500.125+0800", (), "2026-01-31T08:05:00.125+08:00"),
        Example("2026-01-31T00:05:00Z", (), "2026-01-31T00:05:00Z"),
        Example("2026-01-31", (), "2026-01-31"),
        Example("2026年1月31日 8时5分", (), "2026-01-31T08:05:00+08:00"),
        Example("2026-01-31 25:00", (), Fault("impossible-date", "")),
    ],
)
def date_time(env: Env, value: str) -> str | Fault:
    """FHIR dateTime of a written date, with a time or without."""
    return _moment(value, env.zone)


@function(
    "instant",
    gives="instant",
    env=True,
    memo=True,
    doc="时刻, 必须有时间; 没有时区的时间取来源的时区",
    examples=[
        Example("2026-01-31 08:05:09", (), "2026-01-31T08:05:09+08:00"),
        Example("202601310805", (), "2026-01-31T08:05:00+08:00"),
        Example("2026-01-31", (), Fault("time-missing", "")),
        Example("2026-13-01 08:00", (), Fault("impossible-date", "")),
    ],
)
def instant(env: Env, value: str) -> str | Fault:
    """FHIR instant of a written time."""
    moment = _moment(value, env.zone)
    if not isinstance(moment, Fault) and "T" not in moment:
        return Fault("time-missing", "只有日期没有时间, 此处应精确到时分秒; 请来源系统补时间, 或在映射里改用 dateTime")
    return moment


@function(
    "time",
    gives="time",
    doc="一天中的时间",
    examples=[
        Example("8:05", (), "08:05:00"),
        Example("080509", (), "08:05:09"),
        Example("8时5分", (), "08:05:00"),
        Example("25:00", (), Fault("impossible-date", "")),
    ],
)
def time(value: str) -> str | Fault:
    """FHIR time of a written time of day."""
    plain = unicodedata.normalize("NFKC", value).strip()
    if plain.isdigit() and len(plain) in (4, 6):
        plain = ":".join(plain[i : i + 2] for i in range(0, len(plain), 2))
    parts = _read(f"2000-01-01 {plain}")
    if isinstance(parts, Fault):
        return parts
    if parts.clock is None:
        return _unreadable()
    hour, minute, second = parts.clock
    return f"{hour:02}:{minute:02}:{second:02}{parts.fraction}"


@function(
    "days_after",
    takes="text",
    args=("text",),
    gives="date",
    doc="若干天之后的日期(天数可为负)",
    examples=[
        Example("2026-01-31", ("14",), "2026-02-14"),
        Example("2026-03-01", ("-1",), "2026-02-28"),
        Example("2026-01", ("3",), Fault("day-missing", "")),
        Example("2026-01-31", ("两周",), Fault("not-a-number", "")),
    ],
)
def days_after(value: str, days: str | None) -> str | Fault | None:
    """The date `days` days later; None when the number of days is absent."""
    parts = _read(value)
    if isinstance(parts, Fault):
        return parts
    if days is None:
        return None
    if not re.fullmatch(r"[+-]?\d{1,5}", str(days).strip()):
        return Fault("not-a-number", "天数应为整数, 请更正来源")
    if parts.day is None:
        return Fault("day-missing", "日期只到年或月, 不能推算若干天之后, 请补到日")
    try:
        return (dt.date(parts.year, parts.month or 1, parts.day) + dt.timedelta(int(days))).isoformat()
    except OverflowError:
        return Fault("impossible-date", "推算出的日期超出日历范围, 请核对天数")
