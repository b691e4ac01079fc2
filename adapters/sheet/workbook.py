"""XLSX workbooks as grids: ordinary ones at once by calamine, big ones row by row so that memory stays bounded."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, BinaryIO
from xml.etree import ElementTree

from lxml import etree
from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from adapters.sheet.grid import Grid, GridRow
from adapters.sheet.streamed import Sheet, column_of, streamed
from gateway.errors import Finding, Refused

BIG = 32 * 2**20
"""Workbooks that unpack to more than this many bytes are streamed; calamine keeps all cells of a sheet in memory."""

UNPACKED_LIMIT = 4 * 2**30
_ERROR_CELL = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]{1,3})(\d+)"[^>]*>(?:(?!</c>).)*?<v>([^<]*)</v>', re.DOTALL)
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def workbook(stream: BinaryIO) -> Iterator[Grid]:
    """The visible sheets in order. `stream` must be seekable. Raises Refused (`broken-workbook`) when it is no readable XLSX."""
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > UNPACKED_LIMIT:
                raise Refused(_too_large(unpacked))
            sheets, date1904 = _sheets(archive)
            errors = {} if unpacked > BIG else _all_errors(archive, sheets)
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, EOFError, OSError, ValueError) as fault:
        raise Refused(_broken()) from fault
    stream.seek(0)
    return _streamed(stream, sheets, date1904) if unpacked > BIG else _whole(stream, errors)


def _whole(stream: BinaryIO, errors: Mapping[str, Mapping[tuple[int, int], str]]) -> Iterator[Grid]:
    try:
        book = CalamineWorkbook.from_filelike(stream)
    except Exception as fault:  # calamine's many error types, zip's and XML's among them, share no other base
        raise Refused(_broken()) from fault
    for meta in book.sheets_metadata:
        if meta.visible == SheetVisibleEnum.Visible and meta.typ == SheetTypeEnum.WorkSheet:
            yield Grid(meta.name, _calamine_rows(book, meta.name), errors.get(meta.name, {}))


def _calamine_rows(book: CalamineWorkbook, name: str) -> Iterator[GridRow]:
    try:
        sheet = book.get_sheet_by_name(name)
    except Exception as fault:  # as above
        raise Refused(_broken(name)) from fault
    return ((number, cells) for number, cells in enumerate(sheet.iter_rows(), 1))


def _streamed(stream: BinaryIO, sheets: Sequence[Sheet], date1904: bool) -> Iterator[Grid]:
    try:
        yield from streamed(stream, sheets, date1904, lambda name: Refused(_broken(name)))
    except (zipfile.BadZipFile, etree.XMLSyntaxError, KeyError, EOFError, OSError, ValueError) as fault:
        raise Refused(_broken()) from fault


def _sheets(archive: zipfile.ZipFile) -> tuple[list[Sheet], bool]:
    """The visible sheets in order, and whether days are counted from 1904."""
    targets = {}
    with suppress(KeyError):
        for link in ElementTree.fromstring(_plain_xml(archive, "xl/_rels/workbook.xml.rels")):
            targets[link.get("Id")] = link.get("Target", "")
    book = ElementTree.fromstring(_plain_xml(archive, "xl/workbook.xml"))
    found = []
    for sheet in book.iter(f"{_MAIN}sheet"):
        target = targets.get(sheet.get(_RELATION), "")
        path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if path in archive.NameToInfo and "/worksheets/" in path and sheet.get("state", "visible") == "visible":
            found.append((sheet.get("name", ""), path))
    settings = book.find(f"{_MAIN}workbookPr")
    return found, settings is not None and settings.get("date1904") in ("1", "true")


def _all_errors(archive: zipfile.ZipFile, sheets: Sequence[Sheet]) -> dict[str, dict[tuple[int, int], str]]:
    """Cells whose formula failed, by sheet name: calamine shows them as blank, which would lose them in silence."""
    found = {}
    for name, path in sheets:
        with archive.open(path) as part:
            found[name] = dict(_errors(part))
    return found


def _plain_xml(archive: zipfile.ZipFile, path: str) -> bytes:
    content = archive.read(path)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Refused(_broken())
    return content


def _errors(part: IO[bytes]) -> Iterator[tuple[tuple[int, int], str]]:
    """Error cells of one sheet, read in pieces cut at the end of a cell."""
    rest = b""
    while chunk := part.read(1 << 20):
        rest += chunk
        cut = rest.rfind(b"</c>")
        if cut < 0:
            continue
        cut += 4
        if b't="e"' in rest:
            for column, row, value in _ERROR_CELL.findall(rest, 0, cut):
                yield (int(row) - 1, column_of(column.decode())), value.decode("utf-8", "replace")
        rest = rest[cut:]


def _broken(sheet: str = "") -> Finding:
    where = f"工作表“{sheet}”" if sheet else "文件"
    return Finding(
        "broken-workbook", "refuse", f"{where}不是可读的 XLSX(可能损坏、加密, 或是改了扩展名的旧 XLS)。请用表格软件打开, 另存为 .xlsx 后重新发送"
    )


def _too_large(size: int) -> Finding:
    return Finding("workbook-too-large", "refuse", f"文件解压后有 {size // 2**20} MB, 超过上限 {UNPACKED_LIMIT // 2**20} MB。请拆分后重新发送")
