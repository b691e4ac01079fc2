"""Finds the header of a table by the names of its columns: below title rows, in one row or in two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.sheet.grid import GridRow
from gateway.errors import Finding
from gateway.tabular import cell_text, locate_columns, match_columns

__all__ = ["Header", "find_header"]

_ENOUGH = 3  # so many known columns make a header; fewer only when the profile has no more


@dataclass(frozen=True, slots=True)
class Header:
    """last: row number of the header's last row; data follows. names: a name for each column, "" where there is none; a name that
    stands twice becomes `结果#2`. index: column of the profile -> column of the sheet. findings: columns that were not found."""

    last: int
    names: Sequence[str]
    index: Mapping[str, int]
    findings: Sequence[Finding]


def find_header(top: Sequence[GridRow], columns: Sequence[str], place: str) -> Header | None:
    """The header among the first rows that fits the columns best; of equals the first, and one row before two. None when too few of
    the columns are found."""
    last, most = 0, -1
    best: Sequence[str] = ()
    rows = [(number, [cell_text(c) or "" for c in cells]) for number, cells in top]
    for at, (number, names) in enumerate(rows):
        candidates = [(number, names)]
        if at + 1 < len(rows) and rows[at + 1][0] == number + 1:
            candidates.append((number + 1, _joined(names, rows[at + 1][1])))
        for end, candidate in candidates:
            known = len(locate_columns(columns, candidate))
            if known > most:
                last, best, most = end, candidate, known
        if most == len(columns):
            break
    if most < min(_ENOUGH, math.ceil(len(columns) / 2)):
        return None
    index, findings = match_columns(columns, best, place)
    return Header(last, _distinct(best), index, findings)


def _joined(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """Names of a header of two rows: `血压/收缩压`; a merged cell above shows its text in its first column only."""
    names: list[str] = []
    above = ""
    for i in range(max(len(upper), len(lower))):
        over = upper[i] if i < len(upper) else ""
        under = lower[i] if i < len(lower) else ""
        above = over or above
        if over and not under:
            names.append(over)
        else:
            names.append(f"{above}/{under}" if above and under else under)
    return names


def _distinct(names: Sequence[str]) -> list[str]:
    times: dict[str, int] = {}
    out = []
    for name in names:
        times[name] = times.get(name, 0) + 1
        out.append(f"{name}#{times[name]}" if name and times[name] > 1 else name)
    return out
