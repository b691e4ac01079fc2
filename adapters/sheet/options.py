"""Options of the sheet adapter: the watched folder, and how a profile finds its table in a workbook."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway.folder import FolderOptions


class SheetOptions(FolderOptions):
    """[source.options] of a source with adapter = "sheet"."""

    pattern: list[str] = Field(default_factory=lambda: ["*.xlsx", "*.csv", "*.txt"], description="File names taken, e.g. `*.xlsx`.")
    out: str = Field("out", description="Sub-folder for result sheets that go back to the sender; empty: none are written.")


class SheetProfileOptions(BaseModel):
    """[options] of a source profile with adapter = "sheet"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sheet: str = Field("", description="Name of the sheet, or a regular expression for it; empty: the sheet whose headers fit best.")
    dates: list[str] = Field(default_factory=list, description="Columns in which a bare number is an Excel day number (45658 = 2025-01-01).")
    header_rows: int = Field(30, ge=1, le=200, description="The header is looked for in this many first rows.")
    footer: str = Field(
        r"合\s*计|总\s*计|小\s*计|共\s*\d+|制表|填表|审核|说明|备注|注\s*[::]",
        description="Rows without a key whose first cell begins like this regular expression are footers and skipped with a note.",
    )
    delimiter: Literal["", ",", ";", "\t", "|"] = Field("", description="Delimiter of CSV files; empty: found from the file.")

    @field_validator("sheet", "footer")
    @classmethod
    def _pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as fault:
            raise ValueError(f"不是合法的正则表达式: {fault}") from fault
        return value
