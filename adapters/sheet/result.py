"""The result sheet that goes back to the sender: the original columns and, for each row, what became of it and what to do next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from adapters.sheet.options import SheetOptions
from adapters.sheet.read import Tab, compile_profiles, tabs
from gateway.adapter import Feed, Layout
from gateway.errors import Finding, Refused
from gateway.record import Incoming, Receipt, RecordOutcome
from gateway.tabular import cell_text, row_numbers

__all__ = ["send_back", "write_result"]

COLUMNS = ("结果", "问题", "下一步")
ROW_LIMIT = 1_000_000  # a sheet holds 1,048,576 rows
STATES: Mapping[str, tuple[str, str]] = {
    "written": ("已入库", ""),
    "unchanged": ("内容未变", ""),
    "repeat": ("重复, 已处理过", ""),
    "older": ("旧版本, 已留存, 不覆盖新内容", ""),
    "held": ("暂挂, 等待核对", "请按“问题”一栏核对原始资料, 改正后重新发送该行"),
    "refused": ("拒收", "请按“问题”一栏改正后重新发送"),
    "failed": ("处理失败", "请联系网关管理员"),
}


async def send_back(feed: Feed, path: Path, incoming: Incoming, receipt: Receipt) -> None:
    """Writes `<folder>/<out>/<name>-结果.xlsx`, atomically, after the commit of a file."""
    assert isinstance(feed.options, SheetOptions)
    target = feed.options.folder / feed.options.out / f"{path.stem}-结果.xlsx"
    await asyncio.to_thread(write_result, path, target, feed.layouts, receipt, feed.intake.outcomes)


def write_result(source: Path, target: Path, layouts: Sequence[Layout], receipt: Receipt, outcomes: Callable[[int], Iterable[RecordOutcome]]) -> None:
    """Writes the result sheet of one file. Cells are written as text, so that no cell of a sender becomes a formula. outcomes: all
    records of a message in the order of its rows; file and outcomes are read side by side, so that memory does not grow with them."""
    import xlsxwriter  # slow to import, and a gateway that only starts needs none

    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        with xlsxwriter.Workbook(unfinished, {"constant_memory": True, "strings_to_numbers": False, "strings_to_formulas": False}) as book:
            if receipt.state == "refused" or not _write_tabs(book, source, layouts, ByRow(outcomes(receipt.message)), receipt.state):
                _write_whole(book, source.name, receipt)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


class ByRow:
    """The outcome of each row of the file; a record of several rows stands at each of them. Records come in the order of their first
    rows, so only those are held of which further rows follow (`GATHER`)."""

    def __init__(self, outcomes: Iterable[RecordOutcome]) -> None:
        self._coming = ((*row_numbers(o.position), o) for o in outcomes)
        self._next = next(self._coming, None)
        self._open: dict[int, RecordOutcome] = {}

    def at(self, place: str, number: int) -> RecordOutcome | None:
        """The outcome of a row; rows are asked for in their order."""
        while self._next is not None and self._next[0] == place and self._next[1][:1] <= [number]:
            _, numbers, outcome = self._next
            self._open.update(dict.fromkeys(numbers, outcome))
            self._next = next(self._coming, None)
        return self._open.pop(number, None)

    def end(self, place: str) -> None:
        """All rows of a place were asked for."""
        self._open.clear()
        while self._next is not None and self._next[0] == place:
            self._next = next(self._coming, None)


def _write_tabs(book: Any, source: Path, layouts: Sequence[Layout], outcomes: ByRow, state: str) -> bool:
    """Writes every sheet that was read; False when the file can no longer be read."""
    with source.open("rb") as stream, ExitStack() as stack, contextlib.suppress(Refused):
        for tab in tabs(stream, compile_profiles(layouts), [], stack):
            _write_tab(book, tab, outcomes, state)
            outcomes.end(tab.name)
        return True
    return False


def _write_tab(book: Any, tab: Tab, outcomes: ByRow, state: str) -> None:
    width = len(tab.header.names)
    for at, (number, cells) in enumerate(tab.rows):
        if at % ROW_LIMIT == 0:
            sheet = _new_sheet(book, tab.name, at // ROW_LIMIT)
            _write_row(sheet, 0, [*tab.header.names, *COLUMNS])
        texts = [cell_text(c) or "" for c in cells[:width]]
        texts += [""] * (width - len(texts))
        outcome = outcomes.at(tab.name, number)
        said = _said("repeat" if state == "repeat" else outcome.state, outcome.findings) if outcome else ()
        _write_row(sheet, at % ROW_LIMIT + 1, [*texts, *said])


def _new_sheet(book: Any, name: str, part: int) -> Any:
    title = name or "结果"
    return book.add_worksheet(title if part == 0 else f"{title[:27]}-{part + 1}")


def _write_whole(book: Any, name: str, receipt: Receipt) -> None:
    sheet = book.add_worksheet("结果")
    _write_row(sheet, 0, ["文件", *COLUMNS])
    _write_row(sheet, 1, [name, *_said(receipt.state, receipt.findings)])


def _write_row(sheet: Any, row: int, texts: Sequence[str]) -> None:
    for column, text in enumerate(texts):
        if text:
            sheet.write_string(row, column, text[:32767])


def _said(state: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Result, problems and next steps in words; a finding's message ends with its next step (`……。请……`)."""
    word, step = STATES.get(state, (state, ""))
    parts = [f.message.partition("。请") for f in findings]
    steps = list(dict.fromkeys("请" + after for _, _, after in parts if after))
    yield word
    yield "; ".join(dict.fromkeys(before for before, _, _ in parts))
    yield "; ".join(steps) or step
