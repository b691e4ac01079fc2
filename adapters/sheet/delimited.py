"""CSV files as grids: charset and delimiter are found from the bytes themselves, rows are streamed."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from adapters.sheet.grid import Grid, GridRow
from gateway.errors import Finding, Refused

CHUNK = 1 << 20
_CELL_LIMIT = 1 << 20
_DELIMITERS = ",;\t|"
csv.field_size_limit(_CELL_LIMIT)


def delimited(stream: BinaryIO, delimiter: str = "", charset: str = "") -> Grid:
    """The file as one grid. `stream` must be seekable; it is read twice, first to learn the charset: UTF-8 (with or without BOM), else
    GB18030 (which contains GBK), both strict over the whole file; UTF-16 with BOM.

    Raises Refused (`undecodable`) naming the line where no charset fits; bytes are never replaced.
    """
    codec = _charset(stream) if charset in ("", "auto") else _checked(stream, charset)
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=codec, errors="strict", newline="")
    head = text.read(1 << 14)
    text.seek(0)
    return Grid("", _rows(text, delimiter or _delimiter(head)))


def _charset(stream: BinaryIO) -> str:
    stream.seek(0)
    if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _checked(stream, "utf-16")
    utf8 = _fault(stream, "utf-8-sig")
    if utf8 is None:
        return "utf-8-sig"
    gbk = _fault(stream, "gb18030")
    if gbk is None:
        return "gb18030"
    raise Refused(_undecodable(max(utf8, gbk), "UTF-8 或 GBK"))


def _checked(stream: BinaryIO, charset: str) -> str:
    line = _fault(stream, charset)
    if line is not None:
        raise Refused(_undecodable(line, charset.upper()))
    return charset


def _fault(stream: BinaryIO, charset: str) -> int | None:
    """The line with the first byte that the charset does not allow; None when the whole stream decodes."""
    decoder = codecs.getincrementaldecoder(charset)("strict")
    stream.seek(0)
    line = 1
    while True:
        chunk = stream.read(CHUNK)
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as fault:
            return line + chunk[: fault.start].count(b"\n")
        if not chunk:
            return None
        line += chunk.count(b"\n")


def _delimiter(head: str) -> str:
    """The delimiter that stands most often outside quotes in the richer half of the first lines."""
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    bare = ["".join(line.split('"')[::2]) for line in lines]

    def weight(delimiter: str) -> int:
        return sum(sorted((line.count(delimiter) for line in bare), reverse=True)[: max(1, len(bare) // 2)])

    return max(_DELIMITERS, key=weight)


def _rows(text: io.TextIOWrapper, delimiter: str) -> Iterator[GridRow]:
    reader = csv.reader(text, delimiter=delimiter)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            yield number, cells
    except csv.Error as fault:
        raise Refused(_broken(number + 1)) from fault
    finally:
        text.detach()  # the stream belongs to the caller


def _undecodable(line: int, charset: str) -> Finding:
    text = f"第{line}行附近的字节不能按 {charset} 解码, 文件可能损坏或混用了两种编码。请另存为 UTF-8 或 GBK 后重新发送"
    return Finding("undecodable", "refuse", text, source=f"第{line}行")


def _broken(row: int) -> Finding:
    text = f"第{row}行附近的 CSV 结构损坏(引号没有成对, 或一个单元格超过 1 MB)。请检查该行后重新导出"
    return Finding("broken-csv", "refuse", text, source=f"第{row}行")
