"""Big XLSX workbooks row by row: memory depends neither on the number of rows nor on that of the texts (ECMA-376 Part 1, 18.3 and 18.4)."""

from __future__ import annotations

import tempfile
import zipfile
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import lru_cache
from typing import IO, Any, BinaryIO

from lxml import etree

from adapters.sheet.grid import Grid, GridRow

__all__ = ["Sheet", "column_of", "streamed"]

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ROW, _CELL, _VALUE, _INLINE, _TEXT, _RUN, _ITEM = (f"{_MAIN}{name}" for name in ("row", "c", "v", "is", "t", "r", "si"))
_HELD = 8 * 2**20
"""Bytes of shared texts that are kept in memory; of more, all are kept in a temporary file."""
_EAST_ASIAN_DATES = (*range(27, 37), *range(50, 59))
"""Number formats that stand for dates and times in Chinese, Japanese and Korean Excel without being written down (18.8.30)."""

Sheet = tuple[str, str]
"""(name, path in the archive)"""


def streamed(stream: BinaryIO, sheets: Collection[Sheet], date1904: bool, broken: Callable[[str], Exception]) -> Iterator[Grid]:
    """These sheets of a workbook, each to be read before the next is asked for. broken: the fault to raise for a sheet that cannot be
    read. Raises KeyError, ValueError, OSError, zipfile.BadZipFile or XMLSyntaxError when texts or styles cannot be read."""
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(stream))
        texts = stack.enter_context(_Texts())
        if "xl/sharedStrings.xml" in archive.NameToInfo:
            with archive.open("xl/sharedStrings.xml") as part:
                texts.fill(_text(item) for item in _elements(part, _ITEM))
        values = _Values(texts, _dates(archive), date1904)
        for name, path in sheets:
            yield Grid(name, _rows(archive, name, path, values, broken))


class _Texts:
    """The shared texts of a workbook by number."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_HELD)  # noqa: SIM115 - closed by __exit__
        self._starts = array("Q", [0])
        self.get = lru_cache(4096)(self._get)

    def __enter__(self) -> _Texts:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fill(self, texts: Iterator[str]) -> None:
        """Takes all texts, in order."""
        for text in texts:
            self._starts.append(self._starts[-1] + self._file.write(text.encode()))

    def _get(self, number: int) -> str:
        if not 0 <= number < len(self._starts) - 1:
            raise ValueError(f"no shared text {number}")
        self._file.seek(self._starts[number])
        return self._file.read(self._starts[number + 1] - self._starts[number]).decode()


class _Values:
    """Values of cells, by their type and style (18.3.1.4): text, int, float, bool, and what a date format shows."""

    def __init__(self, texts: _Texts, dates: Mapping[str, bool], date1904: bool) -> None:
        from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel  # slow to import, and only big workbooks need it

        self._texts = texts
        self._dates = dates  # style -> whether it shows a span of time, for styles that show a date, a time or a span
        self._epoch = MAC_EPOCH if date1904 else WINDOWS_EPOCH
        self._moment: Any = from_excel

    def of(self, cell: Any) -> object:
        """The value of one `c` element; None when it is blank."""
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = cell.find(_INLINE)
            return None if inline is None else _text(inline)
        raw = cell.findtext(_VALUE)
        if raw is None or raw == "":
            return None
        if kind == "s":
            return self._texts.get(int(raw))
        if kind == "n":
            return self._number(raw, cell.get("s", "0"))
        return raw == "1" if kind == "b" else raw

    def _number(self, raw: str, style: str) -> object:
        value = int(raw) if raw.lstrip("-").isdigit() else float(raw)
        span = self._dates.get(style)
        if span is None:
            return value
        try:
            moment: object = self._moment(value, self._epoch, timedelta=span)
        except (OverflowError, ValueError):
            return value  # a number that is no day of any calendar
        return moment.date() if isinstance(moment, datetime) and value == int(value) else moment


def _rows(archive: zipfile.ZipFile, name: str, path: str, values: _Values, broken: Callable[[str], Exception]) -> Iterator[GridRow]:
    number = 0
    try:
        with archive.open(path) as part:
            for row in _elements(part, _ROW):
                number = int(row.get("r", number + 1))
                cells: list[object] = []
                for cell in row.iterchildren(_CELL):
                    at = column_of(place) if (place := cell.get("r")) else len(cells)
                    if at > len(cells):
                        cells += [None] * (at - len(cells))
                    cells.append(values.of(cell))
                yield number, cells
    except (zipfile.BadZipFile, etree.XMLSyntaxError, KeyError, EOFError, ValueError) as fault:
        raise broken(name) from fault


def _elements(part: IO[bytes], tag: str) -> Iterator[Any]:
    """The elements of this name, each only until the next is asked for. No entity is resolved and no DTD loaded."""
    for _, element in etree.iterparse(part, tag=tag, resolve_entities=False, load_dtd=False, no_network=True, huge_tree=True):
        yield element
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _text(item: Any) -> str:
    """Text of a plain or rich text (18.4.8), without phonetic runs."""
    return "".join(part.text or "" for child in item for part in ((child,) if child.tag == _TEXT else child.iter(_TEXT) if child.tag == _RUN else ()))


def _dates(archive: zipfile.ZipFile) -> dict[str, bool]:
    """Styles (index of `cellXfs`, 18.8.10) whose number format is one of dates, times or spans; True for spans."""
    if "xl/styles.xml" not in archive.NameToInfo:
        return {}
    from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

    with archive.open("xl/styles.xml") as part:
        root = etree.parse(part, etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True)).getroot()
    formats = {str(n): code for n, code in BUILTIN_FORMATS.items()} | dict.fromkeys(map(str, _EAST_ASIAN_DATES), "yyyy-m-d")
    formats |= {f.get("numFmtId", ""): f.get("formatCode", "") for f in root.iter(f"{_MAIN}numFmt")}
    found = {}
    for index, style in enumerate(root.iterfind(f"{_MAIN}cellXfs/{_MAIN}xf")):
        code = formats.get(style.get("numFmtId", "0"), "General")
        if is_date_format(code):
            found[str(index)] = is_timedelta_format(code)
    return found


@lru_cache(maxsize=1024)
def _letters(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def column_of(place: str) -> int:
    """The column, from 0, of a cell's place (`AB12` -> 27)."""
    return _letters(place.rstrip("0123456789"))
