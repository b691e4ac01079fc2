"""Stamps keep the spelling of the view, and the position survives its way through the checkpoint."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adapters.sqlview.position import REMEMBERED, Key, Position, Seen, dump, load
from adapters.sqlview.stamp import Stamp, earlier, from_json, rendered, to_json

NOW = datetime(2026, 6, 1, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "before", "now"),
    [
        ("2026-03-01 08:00:00", "2026-03-01 07:45:00", "2026-06-01 08:30:00"),
        ("2026-03-01T08:00:00", "2026-03-01T07:45:00", "2026-06-01T08:30:00"),
        ("2026-03-01T08:00:00+08:00", "2026-03-01T07:45:00+08:00", "2026-06-01T08:30:00+00:00"),
        ("2026-03-01 08:00", "2026-03-01 07:45", "2026-06-01 08:30"),
        ("20260301080000", "20260301074500", "20260601083000"),
        ("2026/03/01 00:05:00", "2026/02/28 23:50:00", "2026/06/01 08:30:00"),
        ("2026-03-01", "2026-02-28", "2026-06-01"),
        (datetime(2026, 3, 1, 8), datetime(2026, 3, 1, 7, 45), datetime(2026, 6, 1, 8, 30)),
        (datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 1, 7, 45, tzinfo=UTC), NOW),
        (date(2026, 3, 1), date(2026, 2, 28), date(2026, 6, 1)),
        (5000, 4100, 5000),
        (Decimal(5000), Decimal(4100), Decimal(5000)),
        ("gestern", "gestern", "gestern"),
    ],
)
def test_fifteen_minutes_before_and_now_in_the_spelling_of_the_view(stamp: Stamp, before: Stamp, now: Stamp) -> None:
    assert earlier(stamp, 900) == before
    assert rendered(NOW, stamp) == now
    assert from_json(to_json(stamp)) == stamp
    assert type(from_json(to_json(stamp))) is type(stamp)


def test_the_position_survives_the_checkpoint() -> None:
    position = Position("2026-03-01", {("a", "b"): Seen("2026-03-01", "d1"), ("c", ""): Seen(None, "d2")})
    assert load(dump({"x/y": position})) == {"x/y": position}
    assert load(None) == {}


def test_rows_far_behind_the_newest_are_forgotten() -> None:
    first = Position().advanced({("1",): Seen(datetime(2026, 3, 1, 8), "d")}, 900)
    then = first.advanced({("2",): Seen(datetime(2026, 3, 1, 9), "d")}, 900)
    assert then.stamp == datetime(2026, 3, 1, 9)
    assert set(then.seen) == {("2",)}


def test_an_older_row_does_not_move_the_position_back() -> None:
    first = Position().advanced({("1",): Seen(100, "d")}, 50)
    assert first.advanced({("2",): Seen(60, "d")}, 50).stamp == 100


def test_memory_is_bounded_by_forgetting_the_oldest() -> None:
    rows: dict[Key, Seen] = {(str(n),): Seen(n, "d") for n in range(10**6, 10**6 + REMEMBERED + 10)}
    position = Position().advanced(rows, 10**9)
    assert len(position.seen) == REMEMBERED
    assert min(int(key[0]) for key in position.seen) == 10**6 + 10
