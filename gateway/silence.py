"""Sources that fell silent: looked for while the gateway serves, told once in the log, and at every scrape by the metrics.

A source is silent when it has said nothing for longer than its `silent_after` (hours). What counts as a word: a message, or an answer
without news (a poll, an idle connection). `yifang doctor` asks the same question of the database.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.config import SourceConfig
from gateway.log import logger
from gateway.site import Site
from gateway.store.messages import moment
from gateway.store.tables import source_status

__all__ = ["Silence", "watch"]

LOOK = 30.0
"""Seconds between looks."""


class Silence:
    """Remembers which sources are silent, so that each change is told once. A source that never spoke is silent `silent_after` after
    the gateway began to serve."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.began = site.clock.now()
        self.silent: set[str] = set()

    def look(self) -> set[str]:
        """The sources that are silent now."""
        with self.site.database.engine.connect() as connection:
            words = {name: moment(word) for name, word in connection.execute(select(source_status.c.source, source_status.c.last_word)) if word}
        now = self.site.clock.now()
        found = set()
        for source in self.site.config.source:
            last = words.get(source.name)
            gauge = self.site.gateway.metrics.last_word.labels(source.name)
            gauge.set((last or datetime.fromtimestamp(0, UTC)).timestamp())
            if self._is_silent(source, last or self.began, now):
                found.add(source.name)
            self._tell(source, source.name in found, now - (last or self.began))
        self.silent = found
        return found

    def _is_silent(self, source: SourceConfig, last: datetime, now: datetime) -> bool:
        return source.silent_after is not None and now - last > timedelta(hours=source.silent_after)

    def _tell(self, source: SourceConfig, silent: bool, since: timedelta) -> None:
        self.site.gateway.metrics.silent.labels(source.name).set(silent)
        if silent == (source.name in self.silent):
            return
        log = logger("silence")
        if silent:
            log.warning("source silent", source=source.name, adapter=source.adapter, hours=round(since.total_seconds() / 3600, 1))
        else:
            log.info("source speaks again", source=source.name, adapter=source.adapter)


async def watch(site: Site, every: float = LOOK) -> None:
    """Looks until cancelled; a database that is away is no reason to stop looking."""
    silence = Silence(site)
    while True:
        try:
            await asyncio.to_thread(silence.look)
        except SQLAlchemyError as e:
            logger("silence").error("look failed", exc_info=e)
        await asyncio.sleep(every)
