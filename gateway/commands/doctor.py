"""`yifang doctor`: what a person should know before anything goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import func, select, text

from gateway.commands import command
from gateway.commands.deliveries import listing as destinations
from gateway.commands.subscriptions import listing as subscriptions
from gateway.errors import YifangError
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.site import Site, folder_files
from gateway.store import map_sets, reindex
from gateway.store.tables import finding, hold, message

Check = tuple[str, str, str]
"""(name, state, text): state is ok, remark or fault."""
FREE = 2 * 2**30
"""Bytes of free disk below which a person should act."""


def _maps(site: Site) -> Iterator[Check]:
    files = folder_files(site.config)
    faults = Catalogue(files, site.adapters).faults
    if faults:
        yield "映射文件", "fault", f"文件夹里的映射有 {len(faults)} 处问题, 未生效; 运行 `yifang map check` 查看"
        return
    snapshot = map_sets.active(site.database)
    if snapshot is not None and MapFiles.from_snapshot(snapshot).digest != files.digest:
        yield "映射文件", "remark", "文件夹里的映射与生效的不同; 核对后运行 `yifang map activate`"
    else:
        yield "映射文件", "ok", "与生效的一致"


def _database(site: Site) -> Iterator[Check]:
    with site.database.engine.connect() as c:
        if site.database.dialect == "sqlite":
            answer = c.execute(text("PRAGMA quick_check")).scalar()
            yield ("数据库", "ok", "SQLite 完整") if answer == "ok" else ("数据库", "fault", f"SQLite 损坏: {answer}; 请停止网关并从备份恢复")
            free = shutil.disk_usage(site.config.store.data).free
            state = "ok" if free > FREE else "fault"
            yield "磁盘", state, f"剩余 {free // 2**20} MB" + ("" if state == "ok" else "; 请尽快清理或扩容, 写满后来源会收到拒绝")
        else:
            yield "数据库", "ok", str(c.execute(text("SELECT version()")).scalar()).split(" on ")[0]
        stuck = c.scalar(select(func.count()).select_from(message).where(message.c.state == "failed")) or 0
        if stuck:
            yield "消息", "fault", f"{stuck} 条消息处理失败; `yifang messages list --state failed` 查看, 修正后 replay"
        opened = c.scalar(select(func.count()).select_from(hold).where(hold.c.state == "open")) or 0
        yield "待核对", "remark" if opened else "ok", f"{opened} 条记录等人决定" + ("; `yifang holds list` 查看" if opened else "")


def _index(site: Site) -> Iterator[Check]:
    if reindex.outdated(site.database, site.indexer):
        yield "检索索引", "remark", "本地检索参数改过, 已有的资源还没有按它们建索引; 运行 `yifang reindex`"
    else:
        yield "检索索引", "ok", f"与检索参数一致(本地参数 {len(site.indexer.r4.own)} 个)"


def _sources(site: Site) -> Iterator[Check]:
    f = finding
    for status in site.gateway.sources():
        name = f"来源 {status.name}"
        when = status.last_word.isoformat(timespec="seconds") if status.last_word else "从未"
        if status.silent:
            yield name, "fault", f"沉默过久, 最后一次有音讯: {when}; 请检查对方系统与网络"
        else:
            yield name, "ok", f"最后一次有音讯: {when}; 消息 {status.messages}, 记录 {status.records}, 待核对 {status.held}"
        query = select(f.c.text, f.c.severity).where(f.c.source == status.name, f.c.message.is_(None), f.c.version.is_(None))
        with site.database.engine.connect() as c:
            last = c.execute(query.order_by(f.c.id.desc()).limit(1)).first()
        if last is not None:
            yield name, "remark", f"最近的问题: {last.text}"


def _destinations(site: Site) -> Iterator[Check]:
    for view in destinations(site):
        name = f"目的地 {view['destination']}"
        if view["state"] == "paused":
            yield name, "fault", f"已暂停: {view['reason']}"
        elif view["refused"]:
            yield name, "fault", f"有 {view['refused']} 个资源被拒; 修正后运行 `yifang deliveries resume {view['destination']}`"
        else:
            yield name, "ok", f"待发 {view['waiting']}, 等引用 {view['unresolved']}"


def _subscriptions(site: Site) -> Iterator[Check]:
    for view in subscriptions(site):
        name = f"订阅 {view['id']}"
        if view["state"] == "error":
            yield name, "fault", f"已停止, 待发 {view['waiting']}: {view['reason']}"
        elif view["failing"]:
            yield name, "remark", f"自 {view['failing']} 起未收下通知, 待发 {view['waiting']}, 会继续重试: {view['reason']}"
        elif view["state"] != "deleted":
            yield name, "ok", f"{view['state']}, 待发 {view['waiting']}"


PARTS: tuple[Callable[[Site], Iterator[Check]], ...] = (_maps, _database, _index, _sources, _destinations, _subscriptions)


@command("doctor")
def doctor(site: Site) -> dict[str, Any]:
    """All checks; a check that cannot be made is itself a fault."""
    checks: list[Check] = [("配置", "ok", f"{len(site.config.source)} 个来源, {len(site.config.destination)} 个目的地")]
    for part in PARTS:
        try:
            checks.extend(part(site))
        except (YifangError, OSError) as e:
            checks.append((part.__name__.strip("_"), "fault", str(e)))
    return {"checks": [{"name": n, "state": s, "text": t} for n, s, t in checks]}
