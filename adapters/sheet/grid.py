"""A grid: one sheet or CSV file as rows of raw cells, whatever container it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ERRORS", "Grid", "GridRow"]

ERRORS: Final = frozenset({"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"})
"""What a spreadsheet shows where a formula failed."""

GridRow = tuple[int, Sequence[object]]
"""(row number from 1, cells)"""


@dataclass(frozen=True, slots=True)
class Grid:
    """name: the sheet's name, "" for a CSV file. rows: lazily, blank rows may be left out. errors: (row, column), both from 0 -> error
    of a formula, where the reader of the container cannot show it in the cell."""

    name: str
    rows: Iterator[GridRow]
    errors: Mapping[tuple[int, int], str] = field(default_factory=dict)
