"""From the bytes of a workbook or CSV file to flat rows and records."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import BinaryIO

from adapters.sheet.delimited import delimited
from adapters.sheet.grid import ERRORS, Grid, GridRow
from adapters.sheet.header import Header, find_header
from adapters.sheet.options import SheetProfileOptions
from adapters.sheet.workbook import workbook
from gateway.adapter import Extract, Layout
from gateway.errors import Finding, Refused
from gateway.record import Row
from gateway.tabular import FlatRow, Table, cell_text, compile_table

__all__ = ["SheetProfile", "Tab", "compile_profiles", "extractor", "tabs"]

_EXCEL_EPOCH = datetime(1899, 12, 30)
_SERIAL = re.compile(r"\d{4,6}(\.\d+)?")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+?(1[4-9]|[2-9]\d)")
_LOST_FROM = 1e15  # Excel keeps 15 digits


@dataclass(frozen=True, slots=True)
class SheetProfile:
    """One compiled source profile and its options."""

    table: Table
    options: SheetProfileOptions


@dataclass(slots=True)
class Tab:
    """One sheet that a profile reads. top: the raw rows up to the header's last; rows: all that follow. remarks: what is told when
    the sheet was read to its end."""

    name: str
    profile: SheetProfile
    header: Header
    top: Sequence[GridRow]
    rows: Iterator[GridRow]
    grid: Grid
    remarks: list[Finding] = field(default_factory=list)

    def flat_rows(self) -> Iterator[FlatRow]:
        """The data rows; blank rows, repeated headers and footers are left out."""
        read = _cell_reader(self)
        known = set(self.profile.table.key_columns)
        footer = re.compile(self.profile.options.footer) if self.profile.options.footer else None
        first: tuple[Finding, ...] = tuple(self.header.findings)
        skipped: list[int] = []
        for number, cells in self.rows:
            values, findings = read(number, cells)
            if not values:
                continue
            keyed = known and known <= values.keys()
            if not keyed and footer is not None and footer.match(next(iter(values.values()))):
                skipped.append(number)
            elif any(name != value for name, value in values.items()):  # else a header that is repeated on every page
                yield FlatRow(values, number, self.name, first + findings)
                first = ()
        if skipped:
            self.remarks.append(_footer(self.name, skipped))


def compile_profiles(layouts: Sequence[Layout]) -> list[SheetProfile]:
    """Compiles all profiles of a source. Raises ConfigError when groups do not fit flat rows."""
    return [SheetProfile(compile_table(layout), SheetProfileOptions.model_validate(dict(layout.options))) for layout in layouts]


def extractor(layouts: Sequence[Layout]) -> Extract:
    """The adapter's compiled function."""
    profiles = compile_profiles(layouts)

    def extract(content: bytes | BinaryIO) -> Iterator[Row]:
        remarks: list[Finding] = []
        last: Row | None = None
        with ExitStack() as stack:
            for tab in tabs(content, profiles, remarks, stack):
                for row in tab.profile.table.records(tab.flat_rows()):
                    if last is not None:
                        yield last
                    last = row
                remarks += tab.remarks
            if last is not None:  # what is known only at the end is told with the last row
                last.findings += tuple(remarks)
                yield last

    return extract


def tabs(content: bytes | BinaryIO, profiles: Sequence[SheetProfile], remarks: list[Finding], stack: ExitStack) -> Iterator[Tab]:
    """The sheets of a file that some profile reads; those that none reads become a remark.

    Raises Refused when the file cannot be read, or when no sheet has the columns of any profile (`no-table`).
    """
    stream = _seekable(content, stack)
    start = stream.read(4)
    layout = profiles[0].table.layout
    if start == b"\xd0\xcf\x11\xe0":
        raise Refused(_old_format())
    grids = workbook(stream) if start == b"PK\x03\x04" else iter([delimited(stream, profiles[0].options.delimiter, layout.charset)])
    found = 0
    unread: list[str] = []
    heads: list[GridRow] = []
    for grid in grids:
        top = list(islice(grid.rows, max(p.options.header_rows for p in profiles)))
        heads = heads or top[:3]
        chosen = _choose(grid.name, top, profiles)
        if chosen is None:
            unread.append(grid.name)
            continue
        found += 1
        profile, header = chosen
        data = (row for row in chain(top, grid.rows) if row[0] > header.last)
        yield Tab(grid.name, profile, header, [row for row in top if row[0] <= header.last], data, grid)
    if not found:
        raise Refused(_no_table(profiles, unread))
    if unread:
        remarks.append(Finding("sheet-not-read", "note", f"工作表{'、'.join(f'“{n}”' for n in unread)}没有对应的来源配置, 未读取", source=unread[0]))


def _choose(name: str, top: Sequence[GridRow], profiles: Sequence[SheetProfile]) -> tuple[SheetProfile, Header] | None:
    """The profile that names the sheet, else the one whose columns fit best."""
    named = [p for p in profiles if p.options.sheet and name and (p.options.sheet == name or re.fullmatch(p.options.sheet, name))]
    fitting: list[tuple[float, SheetProfile, Header]] = []
    for profile in named or [p for p in profiles if not (p.options.sheet and name)]:
        columns = profile.table.columns
        header = find_header(top[: profile.options.header_rows], columns, f"工作表“{name}”" if name else "文件")
        if header is not None:
            fitting.append((len(header.index) / len(columns), profile, header))
    if not fitting:
        return None
    _, profile, header = max(fitting, key=lambda f: f[0])
    return profile, header


def _cell_reader(tab: Tab) -> Callable[[int, Sequence[object]], tuple[dict[str, str], tuple[Finding, ...]]]:
    """Reads the cells of a row by column, with what is wrong in those that the profile reads."""
    own = {i: column for column, i in tab.header.index.items()}
    columns = [(i, own.get(i, name), i in own) for i, name in enumerate(tab.header.names) if name]
    serial = frozenset(tab.profile.options.dates)
    errors = tab.grid.errors
    failed_rows = {row for row, _ in errors}

    def read(number: int, cells: Sequence[object]) -> tuple[dict[str, str], tuple[Finding, ...]]:
        values: dict[str, str] = {}
        findings: tuple[Finding, ...] = ()
        width = len(cells)
        for i, column, is_read in columns:
            cell = cells[i] if i < width else None
            text = cell_text(cell)
            if text is None:
                continue
            if text[0] == "#" and text in ERRORS:
                if is_read:
                    findings += (_formula(tab.name, number, column, text),)
                continue
            if is_read and _lost(cell, text):
                findings += (_precision(tab.name, number, column),)
                continue
            if column in serial and _SERIAL.fullmatch(text):
                text = _day(text)
            values[column] = text
        if number - 1 in failed_rows:
            findings += tuple(_formula(tab.name, number, own[i], e) for (row, i), e in errors.items() if row == number - 1 and i in own)
        return values, findings

    return read


def _lost(cell: object, text: str) -> bool:
    """Whether a long number lost its last digits in Excel."""
    if isinstance(cell, float):
        return abs(cell) >= _LOST_FROM
    if isinstance(cell, int) and not isinstance(cell, bool):  # openpyxl gives whole numbers as int, CSV only text
        return abs(cell) >= _LOST_FROM
    return ("E" in text or "e" in text) and _SCIENTIFIC.fullmatch(text) is not None


def _day(text: str) -> str:
    """ISO date, or date and time, of an Excel day number."""
    moment = _EXCEL_EPOCH + timedelta(days=float(text))
    moment = (moment + timedelta(microseconds=500_000)).replace(microsecond=0)
    return moment.isoformat() if "." in text else moment.date().isoformat()


def _seekable(content: bytes | BinaryIO, stack: ExitStack) -> BinaryIO:
    if isinstance(content, bytes):
        return io.BytesIO(content)
    if content.seekable():
        content.seek(0)
        return content
    spool = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # the caller's stack closes it
    shutil.copyfileobj(content, spool, 1 << 20)
    spool.seek(0)
    return spool


def _place(sheet: str, number: int) -> str:
    return f"工作表“{sheet}”第{number}行" if sheet else f"第{number}行"


def _formula(sheet: str, number: int, column: str, error: str) -> Finding:
    text = f"{_place(sheet, number)}列“{column}”的公式出错({error}), 值不可用。请改正公式或直接填入数值后重新发送"
    return Finding("formula-error", "hold", text, source=column)


def _precision(sheet: str, number: int, column: str) -> Finding:
    text = f"{_place(sheet, number)}列“{column}”的长号码被表格软件变成了数值(如 3.9E+17), 末几位已丢失。请把该列设为“文本”格式并重新填写号码后发送"
    return Finding("number-precision-lost", "hold", text, source=column)


def _footer(sheet: str, rows: Sequence[int]) -> Finding:
    where = f"工作表“{sheet}”" if sheet else ""
    return Finding("footer-skipped", "note", f"{where}第{'、'.join(map(str, rows))}行是合计或说明, 未作为记录读取")


def _no_table(profiles: Sequence[SheetProfile], unread: Sequence[str]) -> Finding:
    sheets = "、".join(f"“{n}”" for n in unread if n)
    where = f"工作表{sheets}里" if sheets else "文件里"
    wanted = "、".join(profiles[0].table.columns[:8])
    return Finding(
        "no-table",
        "refuse",
        f"{where}找不到来源配置的表头(应有列: {wanted} ...)。请核对文件是否发错, 或在来源配置(sources/*.toml)里改列名",
        source=wanted,
    )


def _old_format() -> Finding:
    return Finding("old-workbook", "refuse", "这是旧的 XLS 格式, 或设了打开密码的工作簿。请取消密码, 另存为 .xlsx 后重新发送")
