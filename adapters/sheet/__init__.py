"""Spreadsheets: XLSX and CSV files from a watched folder or by POST. docs/adapters/sheet.md is the page for people."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from adapters.sheet.options import SheetOptions, SheetProfileOptions
from adapters.sheet.read import extractor
from adapters.sheet.result import send_back
from gateway.adapter import Extract, Feed, Layout
from gateway.folder import watch
from gateway.record import Incoming

_MEDIA = {".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


class SheetAdapter:
    """XLSX and CSV."""

    name = "sheet"
    options: type[BaseModel] = SheetOptions
    profile_options: type[BaseModel] = SheetProfileOptions

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """One function for all profiles: each sheet goes to the profile that names it, else to the one whose columns fit best."""
        return extractor(layouts)

    def check_locator(self, locator: str) -> str | None:
        """A locator is a column header; of a header in two rows `上/下`."""
        if not locator.strip():
            return "列名为空; 应写表头里的文字, 如 `收缩压(mmHg)`"
        if locator != locator.strip():
            return f"列名“{locator}”首尾有空格; 请去掉"
        return None

    async def run(self, feed: Feed) -> None:
        """Watches the folder; after each file a result sheet goes to its `out` folder."""
        assert isinstance(feed.options, SheetOptions)
        settled = partial(send_back, feed) if feed.options.out else None
        await watch(feed.options, feed, _prepared, settled)


def _prepared(path: Path, incoming: Incoming) -> Incoming:
    incoming.media_type = _MEDIA.get(path.suffix.lower(), "text/csv")
    return incoming


adapter = SheetAdapter()
