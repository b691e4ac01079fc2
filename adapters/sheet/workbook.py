"""XLSX workbooks as grids: calamine for ordinary files, openpyxl's read-only mode for big ones so that memory stays bounded."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, BinaryIO
from xml.etree import ElementTree

from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from adapters.sheet.grid import Grid, GridRow
from gateway.errors import Finding, Refused

BIG = 20 * 2**20
"""Files above this many bytes, or whose sheets unpack to more than eight times of it, are streamed."""

UNPACKED_LIMIT = 4 * 2**30
_ERROR_CELL = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]{1,3})(\d+)"[^>]*>(?:(?!</c>).)*?<v>([^<]*)</v>', re.DOTALL)
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def workbook(stream: BinaryIO, big: int = BIG) -> Iterator[Grid]:
    """The visible sheets in order. `stream` must be seekable. Raises Refused (`broken-workbook`) when it is no readable XLSX."""
    size = stream.seek(0, 2)
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > UNPACKED_LIMIT:
                raise Refused(_too_large(unpacked))
            streamed = size > big or unpacked > 8 * big
            errors = {} if streamed else _all_errors(archive)
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, EOFError, OSError, ValueError) as fault:
        raise Refused(_broken()) from fault
    stream.seek(0)
    return _streamed(stream) if streamed else _whole(stream, errors)


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


def _streamed(stream: BinaryIO) -> Iterator[Grid]:
    try:
        import openpyxl  # slow to import, and only very large workbooks need it

        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, ElementTree.ParseError) as fault:
        raise Refused(_broken()) from fault
    try:
        for sheet in book.worksheets:
            if sheet.sheet_state == "visible":
                yield Grid(sheet.title, ((number, cells) for number, cells in enumerate(sheet.iter_rows(values_only=True), 1)))
    finally:
        book.close()


def _all_errors(archive: zipfile.ZipFile) -> dict[str, dict[tuple[int, int], str]]:
    """Cells whose formula failed, by sheet name: calamine shows them as blank, which would lose them in silence."""
    targets = {}
    with suppress(KeyError):
        for link in ElementTree.fromstring(_plain_xml(archive, "xl/_rels/workbook.xml.rels")):
            targets[link.get("Id")] = link.get("Target", "")
    found: dict[str, dict[tuple[int, int], str]] = {}
    for sheet in ElementTree.fromstring(_plain_xml(archive, "xl/workbook.xml")).iter(f"{_MAIN}sheet"):
        target = targets.get(sheet.get(_RELATION), "")
        path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if path in archive.NameToInfo:
            with archive.open(path) as part:
                found[sheet.get("name", "")] = dict(_errors(part))
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
                yield (int(row) - 1, _column(column)), value.decode("utf-8", "replace")
        rest = rest[cut:]


def _column(letters: bytes) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + letter - 64
    return index - 1


def _broken(sheet: str = "") -> Finding:
    where = f"工作表“{sheet}”" if sheet else "文件"
    return Finding(
        "broken-workbook", "refuse", f"{where}不是可读的 XLSX(可能损坏、加密, 或是改了扩展名的旧 XLS)。请用表格软件打开, 另存为 .xlsx 后重新发送"
    )


def _too_large(size: int) -> Finding:
    return Finding("workbook-too-large", "refuse", f"文件解压后有 {size // 2**20} MB, 超过上限 {UNPACKED_LIMIT // 2**20} MB。请拆分后重新发送")
