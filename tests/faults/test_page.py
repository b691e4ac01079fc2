"""docs/bad-input.md tells what the tests prove, row by row."""

from __future__ import annotations

from pathlib import Path

from tests.faults import cases

HERE = Path(__file__).resolve().parent


def test_the_page_is_the_table() -> None:
    assert cases.PAGE.read_text("utf-8") == cases.page(), "run `python -m tests.faults.cases`"


def test_every_row_of_the_page_is_proved_by_a_test() -> None:
    tests = "".join(p.read_text("utf-8") for p in sorted(HERE.glob("test_*.py")))
    assert [name for name in cases.CASES if f'"{name}"' not in tests] == []
