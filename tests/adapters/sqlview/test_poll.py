"""Polling a view: nothing lost, nothing sent twice, whatever the vendor's database does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.sqlview import adapter
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError, Refused
from tests.adapters.intake import RecordingIntake, start, until

pytestmark = pytest.mark.anyio

VISITS = Layout(
    "visit",
    "visit/front",
    {"编号": "no", "收缩压": "sbp", "作废标志": "void", "更新时间": "updated"},
    {
        "用药": GroupLayout(
            each="v_drug on visit_no=no",
            fields={"名称": "name"},
            groups={"剂量": GroupLayout(each="v_dose on drug_no=drug_no", fields={"量": "amount"})},
        )
    },
    options={"view": "v_visit", "stamp": "updated", "key": ["no"], "lateness": 900},
    key=("编号",),
    stamp="更新时间",
)
FIRST = "2026-03-01 08:00:00"


def with_options(**more: Any) -> Layout:
    return replace(VISITS, options={**VISITS.options, **more})


def execute(front: sa.Engine, *statements: str) -> None:
    with front.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def insert(front: sa.Engine, rows: Sequence[tuple[str, str, str]]) -> None:
    """Rows (number, systolic pressure, stamp)."""
    with front.begin() as connection:
        statement = sa.text("INSERT INTO visit (no, sbp, updated) VALUES (:no, :sbp, :at)")
        if front.dialect.name == "postgresql":
            statement = sa.text("INSERT INTO visit (no, sbp, updated) VALUES (:no, CAST(:sbp AS NUMERIC), CAST(:at AS TIMESTAMP))")
        connection.execute(statement, [{"no": no, "sbp": sbp, "at": at} for no, sbp, at in rows])


def recording(layout: Layout = VISITS, **more: Any) -> RecordingIntake:
    return RecordingIntake(adapter.compile([layout]), **more)


def options(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "poll": 0.02, "batch": 10, "timeout": 2, **more}


def numbers(intake: RecordingIntake) -> list[str]:
    return [row.fields["编号"] for row in intake.rows]


async def quiet(intake: RecordingIntake, polls: int = 3) -> None:
    """Waits for some polls that bring nothing new."""
    beats = intake.beats
    await until(lambda: intake.beats >= beats + polls)


async def test_rows_with_their_child_rows_are_read_exactly(front: sa.Engine, url: str) -> None:
    insert(front, [("1", "138.50", FIRST)])
    execute(front, "INSERT INTO drug VALUES ('1', 'd1', 'X'), ('1', 'd2', 'Y'), ('9', 'd3', 'Z')", "INSERT INTO dose VALUES ('d1', '0.50')")
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: bool(intake.rows))
    await feed.stop()
    (row,) = intake.rows
    assert row.fields["收缩压"] == "138.50"
    assert row.fields["用药"] == [{"名称": "X", "剂量": [{"量": "0.50"}]}, {"名称": "Y"}]
    assert row.position == "v_visit!第1行"
    assert row.fields["更新时间"].replace("T", " ") == FIRST


async def test_equal_stamps_over_many_batches_are_not_lost(front: sa.Engine, url: str) -> None:
    insert(front, [(f"{n:03}", "120", FIRST) for n in range(35)])
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) == 35)
    await quiet(intake)
    await feed.stop()
    assert numbers(intake) == [f"{n:03}" for n in range(35)]
    assert len(intake.committed) == 4


async def test_blank_parts_of_a_key_are_paged_too(front: sa.Engine, url: str) -> None:
    layout = with_options(key=["void", "no"])
    insert(front, [(f"{n:03}", "120", FIRST) for n in range(25)])
    execute(front, "UPDATE visit SET void = NULL WHERE no < '015'")
    intake = recording(layout)
    feed = await start(adapter, [layout], intake, options(url))
    await until(lambda: len(intake.rows) == 25)
    await quiet(intake)
    await feed.stop()
    assert sorted(numbers(intake)) == [f"{n:03}" for n in range(25)]


async def test_a_restart_in_the_middle_goes_on_where_it_stood(front: sa.Engine, url: str) -> None:
    insert(front, [(f"{n:03}", "120", f"2026-03-01 08:{n:02}:00") for n in range(40)])
    intake = recording(delay=0.02)
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) >= 20)
    await feed.stop()
    before = len(intake.rows)
    assert before < 40
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(set(numbers(intake))) == 40)
    await quiet(intake)
    await feed.stop()
    assert len(intake.rows) == 40  # nothing was sent twice


async def test_a_row_committed_late_behind_the_watermark_is_found(front: sa.Engine, url: str) -> None:
    insert(front, [("1", "120", "2026-03-01 08:00:00"), ("2", "120", "2026-03-01 09:00:00")])
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) == 2)
    insert(front, [("late", "150", "2026-03-01 08:50:00"), ("too late", "150", "2026-03-01 08:30:00")])
    await until(lambda: len(intake.rows) == 3)
    await quiet(intake)
    await feed.stop()
    assert numbers(intake)[2:] == ["late"]


async def test_a_correction_is_sent_again_and_nothing_else(front: sa.Engine, url: str) -> None:
    insert(front, [(str(n), "120", FIRST) for n in range(3)])
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) == 3)
    execute(front, "UPDATE visit SET sbp = 150, updated = '2026-03-01 08:05:00' WHERE no = '1'")
    await until(lambda: len(intake.rows) == 4)
    execute(front, "UPDATE visit SET void = '1', updated = '2026-03-01 08:06:00' WHERE no = '1'")
    await until(lambda: len(intake.rows) == 5)
    await quiet(intake)
    await feed.stop()
    assert [(r.fields["编号"], r.fields["作废标志"]) for r in intake.rows[3:]] == [("1", "0"), ("1", "1")]


async def test_a_change_of_a_child_row_inside_the_window_is_found(front: sa.Engine, url: str) -> None:
    insert(front, [("1", "120", FIRST)])
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) == 1)
    execute(front, "INSERT INTO drug VALUES ('1', 'd1', 'X')")
    await until(lambda: len(intake.rows) == 2)
    await feed.stop()
    assert intake.rows[1].fields["用药"] == [{"名称": "X"}]


async def test_vanished_rows_are_sent_as_void(front: sa.Engine, url: str) -> None:
    layout = with_options(voided="void=1")
    insert(front, [("1", "120", FIRST), ("2", "130", FIRST)])
    intake = recording(layout)
    feed = await start(adapter, [layout], intake, options(url, sweep=0.05))
    await until(lambda: len(intake.rows) == 2)
    execute(front, "DELETE FROM visit WHERE no = '1'")
    await until(lambda: len(intake.rows) == 3)
    await quiet(intake, 8)
    await feed.stop()
    (row,) = intake.rows[2:]
    assert (row.fields["编号"], row.fields["作废标志"]) == ("1", "1")
    assert row.fields["更新时间"].replace("T", " ") == "2026-06-01 08:00:00"  # the moment it was missed, in the source's zone
    assert "rows-vanished" in [f.code for f in intake.remarks]


async def test_a_row_that_only_got_an_older_stamp_has_not_vanished(front: sa.Engine, url: str) -> None:
    layout = with_options(voided="void=1")
    insert(front, [("1", "120", FIRST), ("2", "130", FIRST)])
    intake = recording(layout)
    feed = await start(adapter, [layout], intake, options(url, sweep=0.05, sweep_days=1))
    await until(lambda: len(intake.rows) == 2)
    execute(front, "UPDATE visit SET updated = '2020-01-01 00:00:00' WHERE no = '1'")
    await quiet(intake, 10)
    await feed.stop()
    assert len(intake.rows) == 2


async def test_a_lost_column_stops_the_view_until_it_is_back(front: sa.Engine, url: str) -> None:
    insert(front, [("1", "120", FIRST)])
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) == 1)
    execute(front, "DROP VIEW v_visit", "CREATE VIEW v_visit AS SELECT no, sbp AS sbp_value, void, updated FROM visit")
    insert(front, [("2", "120", "2026-03-01 08:01:00")])
    await until(lambda: bool(intake.remarks))
    (finding,) = intake.remarks
    assert (finding.code, finding.source) == ("missing-column", "sbp")
    assert "sbp_value" in finding.message and "v_visit" in finding.message
    assert len(intake.rows) == 1
    execute(front, "DROP VIEW v_visit", "CREATE VIEW v_visit AS SELECT * FROM visit")
    await until(lambda: len(intake.rows) == 2)
    await feed.stop()


@pytest.mark.parametrize("column", ["updated", "no"])
async def test_a_lost_stamp_or_key_column_is_named(front: sa.Engine, url: str, column: str) -> None:
    others = ", ".join(c for c in ("no", "sbp", "void", "updated") if c != column)
    execute(front, "DROP VIEW v_visit", f"CREATE VIEW v_visit AS SELECT {others} FROM visit")
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: bool(intake.remarks))
    await feed.stop()
    assert (intake.remarks[0].code, intake.remarks[0].source) == ("missing-column", column)


async def test_a_renamed_view_is_remarked_once_and_waited_for(front: sa.Engine, url: str) -> None:
    execute(front, "DROP VIEW v_visit")
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: bool(intake.remarks))
    await asyncio.sleep(0.15)
    execute(front, "CREATE VIEW v_visit AS SELECT * FROM visit")
    insert(front, [("1", "120", FIRST)])
    await until(lambda: len(intake.rows) == 1)
    await feed.stop()
    assert [f.code for f in intake.remarks] == ["view-missing"]


async def test_a_store_that_is_away_gets_the_same_rows_later(front: sa.Engine, url: str) -> None:
    insert(front, [(f"{n:02}", "120", FIRST) for n in range(15)])
    intake = recording(failures=3)
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: len(intake.rows) == 15)
    await quiet(intake)
    await feed.stop()
    assert sorted(numbers(intake)) == [f"{n:02}" for n in range(15)]


async def test_rows_without_a_stamp_are_remarked(front: sa.Engine, url: str) -> None:
    execute(front, "INSERT INTO visit (no, sbp) VALUES ('1', NULL)")
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options(url))
    await until(lambda: bool(intake.remarks))
    await feed.stop()
    assert intake.remarks[0].code == "rows-without-stamp"


async def test_a_view_without_stamp_is_compared_whole(front: sa.Engine, url: str) -> None:
    layout = with_options(stamp="")
    insert(front, [(f"{n:02}", "120", FIRST) for n in range(15)])
    intake = recording(layout)
    feed = await start(adapter, [layout], intake, options(url))
    await until(lambda: len(intake.rows) == 15)
    execute(front, "UPDATE visit SET sbp = 99 WHERE no = '07'")
    await until(lambda: len(intake.rows) == 16)
    await quiet(intake)
    await feed.stop()
    assert numbers(intake)[15:] == ["07"]


async def test_all_rows_of_a_record_come_together_whichever_changed(front: sa.Engine, url: str) -> None:
    execute(
        front,
        f"CREATE TABLE result (report TEXT, item TEXT, value TEXT, updated {'TIMESTAMP' if front.dialect.name == 'postgresql' else 'TEXT'})",
        *(f"INSERT INTO result VALUES ('R{r}', 'I{i}', '1', '{FIRST}')" for r in range(4) for i in range(6)),
    )
    layout = Layout(
        "report",
        "report/front",
        {"报告单号": "report", "更新时间": "updated"},
        {"结果": GroupLayout(each="rows", fields={"项目": "item", "值": "value"})},
        options={"view": "result", "stamp": "updated", "key": ["report", "item"]},
        key=("报告单号",),
        stamp="更新时间",
    )
    intake = recording(layout)
    feed = await start(adapter, [layout], intake, options(url))
    await until(lambda: len(intake.rows) == 4)
    execute(front, "UPDATE result SET value = '2', updated = '2026-03-01 08:07:00' WHERE report = 'R2' AND item = 'I3'")
    await until(lambda: len(intake.rows) == 5)
    await quiet(intake)
    await feed.stop()
    row = intake.rows[4]
    assert row.fields["报告单号"] == "R2"
    assert row.fields["更新时间"].replace("T", " ") == "2026-03-01 08:07:00"
    assert sorted((f["项目"], f["值"]) for f in row.fields["结果"]) == [(f"I{i}", "2" if i == 3 else "1") for i in range(6)]


async def test_a_database_that_cannot_be_reached_is_remarked_without_its_password(tmp_path: Any) -> None:
    intake = recording()
    feed = await start(adapter, [VISITS], intake, options("postgresql+psycopg://reader:geheim@127.0.0.1:1/front"))
    await until(lambda: bool(intake.remarks))
    await feed.stop()
    assert intake.remarks[0].code == "database-away"
    assert "geheim" not in intake.remarks[0].message + feed.place


async def test_a_locked_table_is_waited_for(front: sa.Engine, url: str) -> None:
    insert(front, [("1", "120", FIRST)])
    intake = recording()
    with front.connect() as holder:
        holder.exec_driver_sql("BEGIN EXCLUSIVE" if front.dialect.name == "sqlite" else "LOCK TABLE visit")
        feed = await start(adapter, [VISITS], intake, options(url, timeout=0.2))
        await until(lambda: bool(intake.remarks))
        holder.rollback()
    await until(lambda: len(intake.rows) == 1)
    await feed.stop()
    assert intake.remarks[0].code == "database-away"


def test_a_batch_is_mapped_again_from_its_own_bytes() -> None:
    line = (
        b'{"profile":"visit/front","rows":[{"no":"1","sbp":"120"}],"children":{"\xe7\x94\xa8\xe8\x8d\xaf":[{"cells":{"name":"X"},"children":{}}]}}\n'
    )
    (row,) = adapter.compile([VISITS])(line)
    assert row.fields == {"编号": "1", "收缩压": "120", "用药": [{"名称": "X"}]}


@pytest.mark.parametrize("content", [b"{}\n", b"not json\n", b'{"profile":"other/p","rows":[{"a":"b"}],"children":{}}\n', b"\xff\xfe\n"])
def test_what_is_no_batch_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        list(adapter.compile([VISITS])(content))


@pytest.mark.parametrize("locator", ["no", "更新时间", "V_DRUG on visit_no=no", "his.v_drug on a=b and c = d", "rows"])
def test_well_formed_locators(locator: str) -> None:
    assert adapter.check_locator(locator) is None


@pytest.mark.parametrize("locator", ["", "a b", "v on", "v on a", "1v on a=b", "no; drop table x"])
def test_malformed_locators_are_named(locator: str) -> None:
    assert adapter.check_locator(locator) is not None


def test_a_group_that_no_view_can_give_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="用药"):
        adapter.compile([replace(VISITS, groups={"用药": GroupLayout(each="/drugs")})])
