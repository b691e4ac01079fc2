"""WS/T 500-2016 shared documents (CDA R2) from a watched folder or by POST.

WS/T 482-2016 卫生信息共享文档编制规范 · WS/T 500.1-53-2016 电子病历共享文档规范. The page for people is docs/adapters/cda.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from adapters.cda.document import NAMESPACE, charset_of, read
from adapters.cda.locators import fault
from adapters.cda.options import NO_FOLDER, Options, ProfileOptions
from adapters.cda.plan import Plan, compile_plan
from adapters.cda.titles import title
from adapters.cda.walk import extract
from gateway.adapter import Extract, Feed, Layout
from gateway.errors import ConfigError, Finding, Refused
from gateway.folder import watch
from gateway.record import Incoming, Row

__all__ = ["CdaAdapter", "adapter"]


class CdaAdapter:
    """Reads one document a message; its type (C0007 ...) decides which profile takes it."""

    name = "cda"
    options: type[BaseModel] = Options
    profile_options: type[BaseModel] = ProfileOptions

    def compile(self, layouts: Sequence[Layout]) -> Extract:
        """One function for all profiles of a source, each for its document types. Raises ConfigError for a locator that cannot be
        understood, a profile without a document type, and two profiles for one type."""
        plans: dict[str, dict[str, Plan]] = {}
        limit = 0
        for layout in layouts:
            options = _profile_options(layout)
            limit = max(limit, options.max_bytes)
            own = {prefix: compile_plan(layout, prefix) for prefix in (NAMESPACE, "")}
            types = options.document or list(layout.message)
            if not types:
                raise ConfigError(f'来源配置 {layout.profile}: 没有写收哪种文档; 请加 message = ["C0007"](WS/T 500 文档类型代码)')
            for type_ in types:
                if type_ in plans:
                    raise ConfigError(f"来源配置 {layout.profile}: 文档类型 {type_} 已由同一来源的另一个 profile 接收; 一种文档只能走一个")
                plans[type_] = own
        return _extract(plans, limit)

    def check_locator(self, locator: str) -> str | None:
        """None when the locator is well formed, else what is wrong, in Chinese."""
        return fault(locator)

    async def run(self, feed: Feed) -> None:
        """Watches the source's folder until cancelled; without a folder documents come by POST and there is nothing to run."""
        options = feed.options
        if not isinstance(options, Options):
            raise TypeError(f"cda source {feed.source.name} was given {type(options).__name__}")
        if options.folder != NO_FOLDER:
            await watch(options, feed, prepare=_described)


adapter = CdaAdapter()


def _extract(plans: Mapping[str, Mapping[str, Plan]], limit: int) -> Callable[[bytes | BinaryIO], Iterator[Row]]:
    def rows(content: bytes | BinaryIO) -> Iterator[Row]:
        document = read(content, limit)
        plan = plans.get(document.type, {}).get(document.prefix)
        if plan is None:
            raise Refused(_unknown(document.type, sorted(plans)))
        fields, findings = extract(document, plan)
        yield Row(plan.dataset, fields, document.content, f"{document.type} {title(document.type)}".strip(), (*document.findings, *findings))

    return rows


def _unknown(type_: str, known: Sequence[str]) -> Finding:
    if not type_:
        text = "文档没有类型: code/@code 应为 C 加四位数字(如 C0007), 或 templateId 为 2.16.156.10011.2.1.1.21 至 .73; 请发送方补上后重发"
    else:
        text = (
            f"文档类型 {type_}({title(type_) or '未知'})没有配置, 本来源现收 {'、'.join(known)}; "
            "原文已保留, 请在 mappings 里加这种文档的数据集和来源配置, 写进 yifang.toml 的 profiles, 再重放此消息"
        )
    return Finding("unknown-dataset", "refuse", text, source="code/@code")


def _profile_options(layout: Layout) -> ProfileOptions:
    try:
        return ProfileOptions.model_validate(dict(layout.options))
    except ValidationError as wrong:
        faults = "; ".join(f"{'.'.join(str(p) for p in f['loc'])}: {f['msg']}" for f in wrong.errors())
        raise ConfigError(f"来源配置 {layout.profile} 的 [options]: {faults}") from None


def _described(_path: Path, incoming: Incoming) -> Incoming:
    """The message with media type and charset, as far as that needs no parsing."""
    charset = charset_of(incoming.content) if isinstance(incoming.content, bytes) else ""
    return replace(incoming, media_type="application/xml", charset=charset)
