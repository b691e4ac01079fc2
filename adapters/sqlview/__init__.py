"""Views of a front-end database (前置机), polled by SQLAlchemy URL. docs/adapters/sqlview.md is the page for people."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.sqlview.front import Front
from adapters.sqlview.join import parse_each
from adapters.sqlview.lines import compile_plans, extractor
from adapters.sqlview.options import NAME, SqlViewOptions, SqlViewProfileOptions
from adapters.sqlview.poll import Poller
from adapters.sqlview.position import load
from gateway.adapter import Adapter, BaseModel, Extract, Feed, Layout


class SqlViewAdapter:
    """Database views."""

    name = "sqlview"
    options: type[BaseModel] = SqlViewOptions
    profile_options: type[BaseModel] = SqlViewProfileOptions

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """One function for all profiles: each line of a batch names its own."""
        return extractor(layouts)

    def check_locator(self, locator: str) -> str | None:
        """A locator is a column; of a group `rows` or `child_view on child_column=parent_column`."""
        if NAME.fullmatch(locator) or parse_each(locator) is not None:
            return None
        return f"“{locator}”应为列名(如 `sbp`); 组的 each 应为 `rows` 或 `子视图 on 子列=父列`"

    async def run(self, feed: Feed) -> None:
        """Polls every profile's view; one batch of rows is one message, the watermark travels as its checkpoint."""
        assert isinstance(feed.options, SqlViewOptions)
        front = Front(feed.options)
        poller = Poller(feed, feed.options, front, compile_plans(feed.layouts), load(feed.intake.checkpoint()))
        feed.ready(front.place)
        await poller.run()


adapter: Adapter = SqlViewAdapter()
