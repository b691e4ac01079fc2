"""How each source is doing: last word, silence, and what came of its messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from gateway.config import Config
from gateway.store import tables as t
from gateway.store.database import Database
from gateway.store.messages import moment

__all__ = ["SourceStatus", "statuses"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """One source. resources: current resources that its records speak of; silent: longer without a word than `silent_after`,
    counted from the gateway's first start while it never spoke."""

    name: str
    adapter: str
    last_word: datetime | None
    silent: bool
    messages: int
    records: int
    resources: int
    findings: int
    held: int


def statuses(database: Database, config: Config, now: datetime) -> list[SourceStatus]:
    """All configured sources, in the order of the configuration."""
    v, f, h, s, m = t.record_version, t.finding, t.hold, t.source_status, t.message
    with database.engine.connect() as connection:

        def counted(query: object) -> dict[str, int]:
            return {name: int(n) for name, n in connection.execute(query)}  # type: ignore[call-overload]  # a Select

        messages = counted(select(m.c.source, func.count() + func.sum(m.c.repeats)).group_by(m.c.source))
        records = counted(select(v.c.source, func.count(v.c.record.distinct())).group_by(v.c.source))
        findings = counted(select(f.c.source, func.count()).group_by(f.c.source))
        held = counted(select(v.c.source, func.count()).join(h, h.c.version == v.c.id).where(h.c.state == "open").group_by(v.c.source))
        c, k = t.record, t.contribution
        resources = counted(
            select(v.c.source, func.count(k.c.resource.distinct()))
            .select_from(k)
            .join(c, c.c.id == k.c.record)
            .join(v, v.c.id == c.c.current)
            .where(k.c.present)
            .group_by(v.c.source)
        )
        words = {name: word for name, word in connection.execute(select(s.c.source, s.c.last_word))}
        first = connection.scalar(select(func.min(t.map_set.c.activated)))
    began = now if first is None else moment(first)
    answer = []
    for source in config.source:
        word = words.get(source.name)
        last = None if word is None else moment(word)
        silent = source.silent_after is not None and now - (last or began) > timedelta(hours=source.silent_after)
        n = source.name
        answer.append(
            SourceStatus(
                n, source.adapter, last, silent, messages.get(n, 0), records.get(n, 0), resources.get(n, 0), findings.get(n, 0), held.get(n, 0)
            )
        )
    return answer
