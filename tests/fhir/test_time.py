"""FHIR dates as intervals (https://hl7.org/fhir/R4/search.html#date)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.time import CHINA, MAX, MIN, interval, period, stamp, timing

SECOND = 1_000_000
DAY = 86_400 * SECOND


def at(*parts: int, zone: timezone = CHINA) -> int:
    return stamp(datetime(*parts, tzinfo=zone))  # type: ignore[misc,arg-type]  # year, month, day at least


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2026", at(2026, 1, 1), at(2027, 1, 1)),
        ("2026-02", at(2026, 2, 1), at(2026, 3, 1)),
        ("2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2026-01-31T08:05", at(2026, 1, 31, 8, 5), at(2026, 1, 31, 8, 6)),
        ("2026-01-31T08:05:07Z", at(2026, 1, 31, 8, 5, 7, zone=UTC), at(2026, 1, 31, 8, 5, 8, zone=UTC)),
        ("2026-01-31T08:05:07+08:00", at(2026, 1, 31, 8, 5, 7), at(2026, 1, 31, 8, 5, 8)),
        ("2026-01-31T08:05:07-03:30", at(2026, 1, 31, 19, 35, 7), at(2026, 1, 31, 19, 35, 8)),
        ("2026-01-31T08:05:07.5+08:00", at(2026, 1, 31, 8, 5, 7) + 500_000, at(2026, 1, 31, 8, 5, 7) + 600_000),
        ("2026-01-31T08:05:07.123456789+08:00", at(2026, 1, 31, 8, 5, 7) + 123_456, at(2026, 1, 31, 8, 5, 7) + 123_457),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1, zone=UTC), at(2017, 1, 1, 0, 0, 1, zone=UTC)),
    ],
)
def test_an_interval_is_as_wide_as_the_precision(text: str, first: int, after: int) -> None:
    assert interval(text) == (first, after - 1)


@pytest.mark.parametrize(
    "text",
    ["", "26", "2026-13", "2026-02-30", "0000", "2026-1-1", "2026-01-31T25:00:00Z", "2026-01-31T08", "2026-01-31 08:00", "２０２６", "20260131"],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert interval(text) is None


def test_a_date_stands_in_the_zone_it_is_read_in() -> None:
    there, here = interval("2026-01-31", UTC), interval("2026-01-31", CHINA)
    assert there is not None and here is not None
    assert there[0] - here[0] == 8 * 3600 * SECOND


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_finer_text_lies_inside_the_coarser(moment: datetime) -> None:
    texts = [moment.strftime("%Y"), moment.strftime("%Y-%m"), moment.strftime("%Y-%m-%d"), moment.replace(microsecond=0).isoformat() + "+08:00"]
    spans = [interval(text) for text in texts]
    for wide, narrow in pairwise(spans):
        assert wide is not None and narrow is not None
        assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]
    assert spans[-1] is not None and spans[-1][0] == stamp(moment.replace(microsecond=0, tzinfo=timezone(timedelta(hours=8))))


def test_periods_may_be_open() -> None:
    assert period({"start": "2026-01-01"}) == (at(2026, 1, 1), MAX)
    assert period({"end": "2026-01-01"}) == (MIN, at(2026, 1, 2) - 1)
    assert period({"start": "2026-01-01", "end": "2026-01-03"}) == (at(2026, 1, 1), at(2026, 1, 4) - 1)
    assert period({"start": "soon"}) is None


def test_a_timing_spans_its_events_and_bounds() -> None:
    assert timing({"event": ["2026-01-03", "2026-01-01"]}) == (at(2026, 1, 1), at(2026, 1, 4) - 1)
    assert timing({"repeat": {"boundsPeriod": {"start": "2026-01-01", "end": "2026-01-01"}}}) == (at(2026, 1, 1), at(2026, 1, 1) + DAY - 1)
    assert timing({"repeat": {"frequency": 1}}) is None
