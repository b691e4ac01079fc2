"""Flat rows (column -> text) become business records: what sheets, CSV files and SQL views have in common.

`compile_table(layout)` turns one source profile whose locators are column names into a `Table`; `Table.records(rows)` gives `Row`s
lazily. `match_columns` finds the profile's columns in a header, `cell_text` turns a cell into the exact text of the field.

Groups of a profile: `[[groups.X.rows]]` are fixed repetitions inside one row (药物名称1, 药物名称2 ...); `[groups.X] each = "rows"` says
that a record is spread over several rows, one X each, and may nest (申请 > 结果): an outer group begins anew where the fields named by
its option `by` (left out: all of its own fields) change.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice
from math import isfinite

import orjson

from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError, Finding
from gateway.record import Fields, Row

__all__ = [
    "GATHER",
    "ROWS",
    "Cells",
    "FlatRow",
    "Table",
    "canonical",
    "cell_text",
    "columns_of",
    "compile_table",
    "locate_columns",
    "match_columns",
    "position_of",
    "read_columns",
    "row_numbers",
]

Cells = Mapping[str, str]
"""Column (as the profile names it, else as the source does) -> text. A blank cell is absent."""

ROWS = "rows"
"""`each` of a group that is spread over rows."""

GATHER = 20_000
"""Rows of one record are put together wherever they stand, in tables of up to this many rows; in larger ones they must be consecutive."""

_INVISIBLE = str.maketrans("", "", "\ufeff\u200b\u200c\u200d\u2060")
_EXACT = 10**15  # a double, and so a sheet, keeps 15 decimal digits
_Reader = Callable[[Cells], Fields]
_GroupReader = Callable[[Sequence[Cells]], list[Fields]]


@dataclass(slots=True)
class FlatRow:
    """One row as the source gave it. place: sheet or view, "" when there is but one; line: its number there, from 1."""

    cells: Cells
    line: int
    place: str = ""
    findings: tuple[Finding, ...] = ()


def cell_text(value: object) -> str | None:
    """The exact text of a cell, or None when it is blank.

    Numbers carry no binary noise (5.6000000000000005 -> `5.6`) and no exponent; a Decimal keeps its zeros (`5.60`); dates and times
    are ISO 8601 (`2026-01-31`, `2026-01-31T08:00:00`); booleans are `true` and `false`.
    """
    match value:
        case None:
            return None
        case str():
            return value.translate(_INVISIBLE).strip() or None
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _float_text(value) if isfinite(value) else None
        case Decimal():
            return format(value, "f") if value.is_finite() else None
        case date() | time():  # a datetime is a date
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes() | memoryview():
            return bytes(value).hex() or None
        case _:
            return cell_text(str(value))


def _float_text(value: float) -> str:
    if value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    return format(Decimal(format(value, ".15g")), "f")


def read_columns(layout: Layout) -> tuple[str, ...]:
    """The columns that a profile reads, in the order of the profile, each once."""

    def of_group(group: GroupLayout) -> Iterator[str]:
        yield from group.fields.values()
        for fixed in group.rows:
            yield from fixed.values()
        for inner in group.groups.values():
            yield from of_group(inner)

    columns = chain(layout.fields.values(), *(of_group(g) for g in layout.groups.values()))
    return tuple(dict.fromkeys(columns))


def columns_of(unit: bytes) -> frozenset[str]:
    """The columns that the row or rows behind a `Row.unit` had; with `read_columns` this tells what a profile leaves unread."""
    rows = orjson.loads(unit)
    return frozenset(column for row in (rows if isinstance(rows, list) else [rows]) for column in row if not column.startswith("@"))


@lru_cache(maxsize=4096)
def _normal(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).translate(_INVISIBLE).casefold().split())


def locate_columns(columns: Iterable[str], headers: Sequence[str]) -> dict[str, int]:
    """Where each column of a profile stands among the headers; those that are not there are left out.

    Width of characters, blanks, line breaks and case do not matter. A header of two rows is written `血压/收缩压` and also found by its
    lower part when no other column has the same.
    """
    exact: dict[str, int] = {}
    lower: dict[str, list[int]] = {}
    for i, header in enumerate(headers):
        if header:
            exact.setdefault(_normal(header), i)
            lower.setdefault(_normal(header.rsplit("/", 1)[-1]), []).append(i)
    found: dict[str, int] = {}
    for column in columns:
        name = _normal(column)
        index = exact.get(name)
        if index is None and len(lower.get(name, ())) == 1:
            index = lower[name][0]
        if index is not None:
            found[column] = index
    return found


def match_columns(columns: Sequence[str], headers: Sequence[str], place: str = "") -> tuple[dict[str, int], list[Finding]]:
    """`locate_columns`, and one finding (`missing-column`, note) with the nearest header for each column that is not there."""
    found = locate_columns(columns, headers)
    return found, [_missing(column, headers, place) for column in columns if column not in found]


def _missing(column: str, headers: Sequence[str], place: str) -> Finding:
    named = {_normal(h): h for h in headers if h}
    near = difflib.get_close_matches(_normal(column), named, n=1, cutoff=0.5)
    hint = f"; 最接近的列是“{named[near[0]]}”" if near else ""
    where = f"{place}里" if place else ""
    return Finding(
        "missing-column",
        "note",
        f"{where}没有来源配置要读的列“{column}”{hint}。请把列名改回, 或在来源配置(sources/*.toml)里改成新的列名",
        source=column,
    )


def row_numbers(position: str) -> tuple[str, list[int]]:
    """The place and the line numbers that a position of this module names: `检验!第3-5,9行` -> ("检验", [3, 4, 5, 9])."""
    place, _, rest = position.rpartition("!")
    found = re.fullmatch(r"第([\d,-]+)行", rest)
    if found is None:
        return place, []
    spans = (part.partition("-") for part in found[1].split(","))
    return place, [n for first, _, last in spans for n in range(int(first), int(last or first) + 1)]


def position_of(rows: Sequence[FlatRow]) -> str:
    """Where the rows stand, for people: `检验!第3-5,9行`; without a place `第12行`."""
    spans: list[list[int]] = []
    for line in sorted(r.line for r in rows):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    numbers = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
    place = f"{rows[0].place}!" if rows[0].place else ""
    return f"{place}第{numbers}行"


@dataclass(frozen=True, slots=True)
class Table:
    """A compiled profile of flat rows. columns: what it reads; key_columns: the columns of its key fields; spread: whether a record
    may take several rows."""

    layout: Layout
    columns: tuple[str, ...]
    key_columns: tuple[str, ...]
    spread: bool
    _own: _Reader = field(repr=False)
    _groups: Mapping[str, _GroupReader] = field(repr=False)

    def records(self, rows: Iterable[FlatRow]) -> Iterator[Row]:
        """The records of a table, lazily. In a spread profile rows of equal key and stamp are one record, and a row whose key columns
        are blank (vertically merged cells) goes with the row above."""
        if not self.spread:
            return (self.record((row,)) for row in rows)
        return self._gathered(iter(rows))

    def record(self, rows: Sequence[FlatRow]) -> Row:
        """One record from all of its rows (one, unless the profile is spread)."""
        fields, findings = self.fields(rows)
        return Row(self.layout.dataset, fields, canonical([r.cells for r in rows]), position_of(rows), findings)

    def fields(self, rows: Sequence[FlatRow]) -> tuple[Fields, tuple[Finding, ...]]:
        """Fields and findings of one record, for adapters that add groups of their own."""
        fields = self._own(rows[0].cells)
        findings = rows[0].findings
        if len(rows) > 1:
            findings = (*chain.from_iterable(r.findings for r in rows), *self._complete(fields, rows))
        cells = [r.cells for r in rows]
        for name, read in self._groups.items():
            values = read(cells)
            if values:
                fields[name] = values
        return fields, findings

    def _complete(self, fields: Fields, rows: Sequence[FlatRow]) -> tuple[Finding, ...]:
        """Takes from later rows what the first left blank, and the newest stamp; contradictions hold the record."""
        stamp = self.layout.stamp
        clash: set[str] = set()
        for row in rows[1:]:
            for name, value in self._own(row.cells).items():
                if fields.setdefault(name, value) != value:
                    if name == stamp:
                        fields[name] = max(fields[name], value)
                    else:
                        clash.add(name)
        return tuple(
            Finding(
                "contradicting-rows",
                "hold",
                f"同一条记录的各行({position_of(rows)})在列“{self.layout.fields[name]}”里的值不一致。请核对主键列是否相同, 改正后重新发送",
                source=self.layout.fields[name],
            )
            for name in sorted(clash)
        )

    def _gathered(self, rows: Iterator[FlatRow]) -> Iterator[Row]:
        head = list(islice(rows, GATHER + 1))
        if len(head) <= GATHER:
            together: dict[Hashable, list[FlatRow]] = {}
            last: Hashable = None
            for row in head:
                last = self._identity(row.cells) or last
                together.setdefault(last, []).append(row)
            for several in together.values():
                yield self.record(several)
            return
        yield from self._consecutive(chain(head, rows))

    def _consecutive(self, rows: Iterator[FlatRow]) -> Iterator[Row]:
        seen: set[int] = set()
        current: list[FlatRow] = []
        last: Hashable = None

        def finished() -> Row:
            row = self.record(current)
            if hash(last) in seen:
                row.findings += (self._apart(row.position),)
            seen.add(hash(last))
            return row

        for row in rows:
            identity = self._identity(row.cells) or last
            if current and identity != last:
                yield finished()
                current = []
            current.append(row)
            last = identity
        if current:
            yield finished()

    def _apart(self, position: str) -> Finding:
        columns = "、".join(self.key_columns)
        text = f"{position}: 同一条记录的行没有排在一起(表超过 {GATHER} 行时必须相邻)。请按“{columns}”排序后重新发送"
        return Finding("rows-apart", "hold", text, source=columns)

    def _identity(self, cells: Cells) -> Hashable:
        """What the rows of one record share; None when the row leaves the key blank."""
        key = tuple(cells.get(c) for c in self.key_columns)
        if not any(key):
            return None
        stamp = self.layout.fields.get(self.layout.stamp)
        return (*key, cells.get(stamp)) if stamp else key


def canonical(cells: Sequence[Cells]) -> bytes:
    """Canonical JSON of all columns of the row, or of the rows in an order of their own, so that a shuffled repeat is a repeat."""
    if len(cells) == 1:
        return orjson.dumps(cells[0], option=orjson.OPT_SORT_KEYS)
    return b"[" + b",".join(sorted(orjson.dumps(c, option=orjson.OPT_SORT_KEYS) for c in cells)) + b"]"


def compile_table(layout: Layout) -> Table:
    """Compiles one profile. Raises ConfigError naming profile, group and option when a group cannot be read from flat rows."""
    groups = {name: _group(name, group, layout) for name, group in layout.groups.items()}
    spread = any(g.each == ROWS for g in layout.groups.values())
    own = _reader(layout.fields, layout)
    keys = tuple(layout.fields[k] for k in layout.key if k in layout.fields) or (tuple(layout.fields.values()) if spread else ())
    return Table(layout, read_columns(layout), keys, spread, own, groups)


def _reader(fields: Mapping[str, str], layout: Layout, path: str = "") -> _Reader:
    """Reads fields from one row; `split` and `repeats` name a field of a group as `用药/名称`."""

    def full(name: str) -> str:
        return f"{path}/{name}" if path else name

    splits = {n: re.compile(layout.split[full(n)]) for n in fields if full(n) in layout.split}
    lists = [n for n in fields if n not in splits and full(n) in layout.repeats]
    plain = tuple(fields.items())
    if not splits and not lists:
        return lambda cells: {name: cells[column] for name, column in plain if column in cells}

    def read(cells: Cells) -> Fields:
        out: Fields = {name: cells[column] for name, column in plain if column in cells}
        for name in lists:
            if name in out:
                out[name] = [out[name]]
        for name, pattern in splits.items():
            if name in out:
                out[name] = [part for raw in pattern.split(out[name]) if raw and (part := raw.strip())]
        return out

    return read


def _group(path: str, group: GroupLayout, layout: Layout) -> _GroupReader:
    if group.rows:
        return _fixed([_reader(fixed, layout, path) for fixed in group.rows])
    if group.each != ROWS:
        raise ConfigError(
            f'{layout.profile}: [groups.{path}] each = "{group.each}" 不能用于平面表; 一条记录占多行时写 each = "rows", '
            f"一行里有固定几次重复时写 [[groups.{path}.rows]]"
        )
    read = _reader(group.fields, layout, path)
    inner = {name: _group(f"{path}/{name}", g, layout) for name, g in group.groups.items()}
    by = group.options.get("by")
    if by is None and not any(g.each == ROWS for g in group.groups.values()):
        return _each_row(read, inner)
    names = list(group.fields) if by is None else [by] if isinstance(by, str) else list(by)
    unknown = [n for n in names if n not in group.fields]
    if unknown:
        raise ConfigError(f"{layout.profile}: [groups.{path}] by 里的 {'、'.join(unknown)} 不是该组的字段; 应为 {'、'.join(group.fields)} 之一")
    return _partitioned(read, inner, [group.fields[n] for n in names])


def _fixed(readers: Sequence[_Reader]) -> _GroupReader:
    def read(rows: Sequence[Cells]) -> list[Fields]:
        return [fields for reader in readers if (fields := reader(rows[0]))]

    return read


def _each_row(read: _Reader, inner: Mapping[str, _GroupReader]) -> _GroupReader:
    def rows_of(rows: Sequence[Cells]) -> list[Fields]:
        return [fields for cells in rows if (fields := _nested(read(cells), inner, (cells,)))]

    return rows_of


def _partitioned(read: _Reader, inner: Mapping[str, _GroupReader], columns: Sequence[str]) -> _GroupReader:
    def rows_of(rows: Sequence[Cells]) -> list[Fields]:
        parts: dict[tuple[str | None, ...], list[Cells]] = {}
        last: tuple[str | None, ...] = ()
        for cells in rows:
            here = tuple(cells.get(c) for c in columns)
            last = here if any(here) else last or here
            parts.setdefault(last, []).append(cells)
        return [fields for several in parts.values() if (fields := _nested(read(several[0]), inner, several))]

    return rows_of


def _nested(fields: Fields, inner: Mapping[str, _GroupReader], rows: Sequence[Cells]) -> Fields:
    for name, read in inner.items():
        values = read(rows)
        if values:
            fields[name] = values
    return fields
