"""FHIR dates and times as intervals of microseconds since 1970 (https://hl7.org/fhir/R4/search.html#date).

`2026-01` is the month from its first microsecond to its last. A time without zone (a date, a partial date) stands in the zone given.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

__all__ = ["MAX", "MIN", "Interval", "interval", "period", "stamp", "timing"]

Interval = tuple[int, int]
"""First and last microsecond since 1970-01-01T00:00:00Z, both included."""

MIN, MAX = -(2**62), 2**62
CHINA = timezone(timedelta(hours=8))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


def stamp(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=8192)
def interval(text: str, zone: tzinfo = CHINA) -> Interval | None:
    """The interval that a date, dateTime or instant covers by its precision; None when it is none (also 2026-02-30)."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        if hour is None:
            return _calendar(int(year), month, day, zone)
        first = datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=_zone(offset, zone))
        start = stamp(first)
    except (ValueError, OverflowError):
        return None
    if second is None:
        return start, start + 60_000_000 - 1
    leap = 1_000_000 if second == "60" else 0
    if fraction is None:
        return start + leap, start + leap + 999_999
    start += leap + int(fraction[:6].ljust(6, "0"))
    return start, start + 10 ** max(6 - len(fraction), 0) - 1


def _calendar(year: int, month: str | None, day: str | None, zone: tzinfo) -> Interval:
    """Interval of a year, a month or a day."""
    first = datetime(year, int(month or 1), int(day or 1), tzinfo=zone)
    if day is not None:
        return stamp(first), stamp(first) + _DAY - 1
    if year == 9999 and month in (None, "12"):
        return stamp(first), MAX
    if month is None:
        after = first.replace(year=year + 1)
    else:
        after = first.replace(year=year + first.month // 12, month=first.month % 12 + 1)
    return stamp(first), stamp(after) - 1


def _zone(offset: str | None, zone: tzinfo) -> tzinfo:
    if offset is None:
        return zone
    if offset == "Z":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    return timezone((timedelta(hours=hours, minutes=minutes)) * (-1 if offset[0] == "-" else 1))


def period(value: dict[str, Any], zone: tzinfo = CHINA) -> Interval | None:
    """Interval of a Period; an end that is missing is open. None when neither end is a date."""
    start = interval(value["start"], zone) if isinstance(value.get("start"), str) else None
    end = interval(value["end"], zone) if isinstance(value.get("end"), str) else None
    if start is None and end is None:
        return None
    return start[0] if start else MIN, end[1] if end else MAX


def timing(value: dict[str, Any], zone: tzinfo = CHINA) -> Interval | None:
    """Outer interval of a Timing: from its first to its last event, or its repeat.boundsPeriod."""
    events, repeat = value.get("event"), value.get("repeat")
    found = [i for e in (events if isinstance(events, list) else ()) if isinstance(e, str) and (i := interval(e, zone)) is not None]
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    if isinstance(bounds, dict) and (outer := period(bounds, zone)) is not None:
        found.append(outer)
    return (min(i[0] for i in found), max(i[1] for i in found)) if found else None
