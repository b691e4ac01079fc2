"""A CSV file of any size is read in bounded memory."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from adapters.sheet import adapter
from gateway.adapter import GroupLayout, Layout

LINE = "39000010100{n:06},2026-01-31,{sbp},某某村卫生室的一段比较长的随访备注文字, 用来把行撑大\n"


def write(path: Path, megabytes: int) -> int:
    """Writes a GBK file of about this size; gives the number of its rows."""
    rows = 0
    with path.open("w", encoding="gbk") as file:
        file.write("健康档案编号,随访日期,收缩压,备注,补充\n")
        while file.tell() < megabytes << 20:
            for n in range(rows, rows + 5000):
                file.write(LINE.format(n=n % 10**6, sbp=100 + n % 90))
            rows += 5000
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("spread", [False, True])
def test_sixty_megabytes_take_little_memory(tmp_path: Path, spread: bool) -> None:
    rows = write(tmp_path / "large.csv", 60)
    groups = {"读数": GroupLayout(each="rows", fields={"收缩压": "收缩压"})} if spread else {}
    layout = Layout("d", "d/p", {"编号": "健康档案编号", "日期": "随访日期"}, groups, key=("编号", "日期"))
    extract = adapter.compile([layout])
    process = psutil.Process()
    with (tmp_path / "large.csv").open("rb") as stream:
        next(extract(stream))  # imports and caches are not counted
        before = most = process.memory_info().rss
        found = 0
        for found, _ in enumerate(extract(stream), 1):
            if found % 20_000 == 0:
                most = max(most, process.memory_info().rss)
    assert found == rows
    assert most - before < (250 << 20 if spread else 64 << 20)
