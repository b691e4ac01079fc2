"""Files that lie in a watched folder are taken once they stopped growing, and results go back to the sender."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from adapters.sheet import adapter
from gateway.adapter import Layout
from tests.adapters.intake import RecordingIntake, start, until
from tests.adapters.sheet.test_read import FOLLOW_UP, HEAD, book

pytestmark = pytest.mark.anyio
GOOD = ",".join(HEAD) + "\na,2026-01-01,120,\nb,2026-01-02,3.9E+17,3.90000199001011E+17\n"
LAYOUTS: list[Layout] = [FOLLOW_UP]


def options(folder: Path, **more: Any) -> dict[str, Any]:
    return {"folder": str(folder), "poll": 0.02, "settle": 0.03, **more}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def recording(**more: Any) -> RecordingIntake:
    return RecordingIntake(adapter.compile(LAYOUTS), **more)


async def test_a_file_is_taken_moved_and_answered_row_by_row(tmp_path: Path) -> None:
    intake = recording()
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    (tmp_path / "一月.csv").write_text(GOOD, "gbk")
    await until((tmp_path / "done" / "一月.csv").exists)
    await feed.stop()
    assert [c.incoming.name for c in intake.committed] == ["一月.csv"]
    rows = CalamineWorkbook.from_path(str(tmp_path / "out" / "一月-结果.xlsx")).get_sheet_by_index(0).to_python()
    assert rows[0] == [*HEAD, "结果", "问题", "下一步"]
    assert rows[1][:5] == ["a", "2026-01-01", "120", "", "已入库"]
    assert rows[2][4] == "暂挂, 等待核对"
    assert "末几位已丢失" in str(rows[2][5]) and str(rows[2][6]).startswith("请把该列设为")
    assert names(tmp_path / "out") == ["一月-结果.xlsx"]


async def test_a_refused_file_is_moved_aside_and_the_sender_told(tmp_path: Path) -> None:
    intake = recording()
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    (tmp_path / "坏.xlsx").write_bytes(b"PK\x03\x04 nothing")
    await until((tmp_path / "refused" / "坏.xlsx").exists)
    await feed.stop()
    rows = CalamineWorkbook.from_path(str(tmp_path / "out" / "坏-结果.xlsx")).get_sheet_by_index(0).to_python()
    assert rows[1][:2] == ["坏.xlsx", "拒收"]


async def test_a_growing_file_is_not_read(tmp_path: Path) -> None:
    intake = recording()
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path, settle=0.3))
    with (tmp_path / "x.csv").open("w", encoding="utf-8") as file:
        for line in GOOD.splitlines(keepends=True):
            file.write(line)
            file.flush()
            await asyncio.sleep(0.15)
            assert not intake.committed
    await until(lambda: bool(intake.committed))
    await feed.stop()
    assert intake.committed[0].content == GOOD.encode()


async def test_temporary_and_foreign_names_are_left_alone(tmp_path: Path) -> None:
    intake = recording()
    for name in ("~$x.xlsx", ".x.csv", "x.csv.part", "x.doc"):
        (tmp_path / name).write_text(GOOD)
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    await until(lambda: intake.beats > 5)
    await feed.stop()
    assert intake.committed == []


async def test_a_crash_between_commit_and_move_is_a_repeat(tmp_path: Path) -> None:
    intake = recording()
    (tmp_path / "x.csv").write_text(GOOD)
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    await until((tmp_path / "done" / "x.csv").exists)
    await feed.stop()
    (tmp_path / "done" / "x.csv").rename(tmp_path / "x.csv")  # as if the move had not happened
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    await until((tmp_path / "done" / "x.csv").exists)
    await feed.stop()
    assert {o.state for o in intake.committed[1].receipt.outcomes} == {"repeat"}


async def test_files_of_a_read_only_share_are_remembered_by_the_checkpoint(tmp_path: Path) -> None:
    intake = recording()
    (tmp_path / "x.csv").write_text(GOOD)
    still = options(tmp_path, done="", out="")
    feed = await start(adapter, LAYOUTS, intake, still)
    await until(lambda: len(intake.committed) == 1)
    await feed.stop()
    feed = await start(adapter, LAYOUTS, intake, still)
    await asyncio.sleep(0.2)
    assert len(intake.committed) == 1
    (tmp_path / "x.csv").write_text(GOOD + "c,2026-01-01,1,\n")  # a new state of the file is a new message
    await until(lambda: len(intake.committed) == 2)
    await feed.stop()
    assert names(tmp_path) == ["x.csv"]


async def test_the_same_name_twice_keeps_both_files(tmp_path: Path) -> None:
    intake = recording()
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    for n in (1, 2):
        (tmp_path / "x.xlsx").write_bytes(book(s=[HEAD, [f"a{n}", "2026-01-01", 120]]))
        await until((tmp_path / "done" / ("x.xlsx" if n == 1 else "x-2.xlsx")).exists)
    await feed.stop()
    assert names(tmp_path / "done") == ["x-2.xlsx", "x.xlsx"]


async def test_a_store_that_is_away_is_tried_again(tmp_path: Path) -> None:
    intake = recording(failures=2)
    (tmp_path / "x.csv").write_text(GOOD)
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    await until((tmp_path / "done" / "x.csv").exists)
    await feed.stop()
    assert intake.started == 3 and len(intake.committed) == 1


async def test_a_folder_that_vanishes_is_remarked_and_made_again(tmp_path: Path) -> None:
    intake = recording()
    folder = tmp_path / "in"
    feed = await start(adapter, LAYOUTS, intake, options(folder))
    folder.rmdir()
    folder.write_text("a file in its place")
    await until(lambda: bool(intake.remarks))
    assert intake.remarks[0].code == "folder-fault"
    folder.unlink()
    await until(folder.is_dir)
    await feed.stop()


async def test_formulas_of_a_sender_stay_text_in_the_result(tmp_path: Path) -> None:
    intake = recording()
    feed = await start(adapter, LAYOUTS, intake, options(tmp_path))
    (tmp_path / "x.csv").write_text(",".join(HEAD) + "\n=cmd|calc,2026-01-01,1,\n")
    await until((tmp_path / "done" / "x.csv").exists)
    await feed.stop()
    rows = CalamineWorkbook.from_path(str(tmp_path / "out" / "x-结果.xlsx")).get_sheet_by_index(0).to_python()
    assert rows[1][0] == "=cmd|calc"
