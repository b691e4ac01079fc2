"""The result sheet: file and outcomes are read side by side."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.sheet.result import ByRow
from gateway.record import RecordOutcome
from gateway.tabular import row_numbers


def outcome(position: str) -> RecordOutcome:
    return RecordOutcome(position, "d", (), "written")


def found(by_row: ByRow, place: str, *numbers: int) -> list[str]:
    return [o.position if (o := by_row.at(place, n)) else "" for n in numbers]


def test_a_record_of_several_rows_stands_at_each_of_them_wherever_they_are() -> None:
    by_row = ByRow(map(outcome, ["一!第2,5-6行", "一!第3行", "二!第2行"]))
    assert found(by_row, "一", 1, 2, 3, 4, 5, 6) == ["", "一!第2,5-6行", "一!第3行", "", "一!第2,5-6行", "一!第2,5-6行"]
    by_row.end("一")
    assert found(by_row, "二", 1, 2, 3) == ["", "二!第2行", ""]


def test_a_sheet_that_is_no_longer_as_it_was_does_not_hide_the_next() -> None:
    by_row = ByRow(map(outcome, ["一!第2行", "一!第9行", "二!第2行"]))
    assert found(by_row, "一", 2) == ["一!第2行"]
    by_row.end("一")
    assert found(by_row, "二", 2) == ["二!第2行"]


def test_no_more_is_read_ahead_than_one_record() -> None:
    read: list[int] = []

    def coming() -> Iterator[RecordOutcome]:
        for n in range(2, 100):
            read.append(n)
            yield outcome(f"第{n}行")

    by_row = ByRow(coming())
    assert found(by_row, "", 2, 3) == ["第2行", "第3行"]
    assert read == [2, 3, 4]
    assert row_numbers("第4行") == ("", [4])
