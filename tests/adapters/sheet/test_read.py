"""What a spreadsheet says becomes rows: headers by name, exact values, and a finding for what cannot be read."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import Any

import pytest
import xlsxwriter

from adapters.sheet import adapter
from adapters.sheet.workbook import workbook
from gateway.adapter import GroupLayout, Layout
from gateway.errors import ConfigError, Refused
from gateway.record import Row
from gateway.tabular import cell_text

FOLLOW_UP = Layout(
    "hypertension_followup",
    "hypertension_followup/test",
    {"健康档案编号": "健康档案编号", "随访日期": "随访日期", "收缩压": "收缩压(mmHg)", "身份证号": "身份证号"},
    key=("健康档案编号", "随访日期"),
)
HEAD = ["健康档案编号", "随访日期", "收缩压(mmHg)", "身份证号"]


def book(**sheets: list[list[Any]]) -> bytes:
    """An XLSX file; a cell that is a tuple (formula, error) is a formula with that cached error."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as file:
        for name, rows in sheets.items():
            sheet = file.add_worksheet(name)
            for r, row in enumerate(rows):
                for c, value in enumerate(row):
                    if isinstance(value, tuple):
                        sheet.write_formula(r, c, value[0], None, value[1])
                    elif isinstance(value, str):
                        sheet.write_string(r, c, value)
                    elif value is not None:
                        sheet.write(r, c, value)
    return stream.getvalue()


def read(content: bytes, *layouts: Layout) -> list[Row]:
    return list(adapter.compile(layouts or (FOLLOW_UP,))(content))


def test_values_are_exact_and_dates_follow_the_cell_format() -> None:
    rows = read(book(随访=[HEAD, ["39000010100100001", date(2026, 1, 31), 5.6000000000000005, "39000019900101001X"]]))
    assert rows[0].fields == {"健康档案编号": "39000010100100001", "随访日期": "2026-01-31", "收缩压": "5.6", "身份证号": "39000019900101001X"}
    assert rows[0].position == "随访!第2行"
    assert rows[0].findings == ()


def test_header_is_found_below_merged_titles_and_blank_rows() -> None:
    rows = read(
        book(
            随访=[
                ["某镇高血压随访登记表"],
                [],
                ["填报单位: 甲卫生院"],
                ["序号", *HEAD],
                [1, "a", "2026-01-31", 138, ""],
                [],
                [2, "b", "2026-02-01", 150],
            ]
        )
    )
    assert [(r.fields["健康档案编号"], r.fields["收缩压"], r.position) for r in rows] == [("a", "138", "随访!第5行"), ("b", "150", "随访!第7行")]


def test_header_in_two_rows_is_found_by_full_or_lower_name() -> None:
    layout = Layout("d", "d/p", {"编号": "编号", "高": "血压/收缩压", "低": "舒张压", "日期": "日期"})
    rows = read(book(s=[["编号", "血压", "", "日期"], ["", "收缩压", "舒张压", ""], ["x", 140, 90, "2026-01-01"]]), layout)
    assert rows[0].fields == {"编号": "x", "高": "140", "低": "90", "日期": "2026-01-01"}


def test_header_matches_whatever_width_blanks_and_line_breaks() -> None:
    rows = read(book(s=[["健康档案\n编号", " 随访日期 ", "收缩压（mmHg）", "身份证号"], ["a", "2026-01-01", 120, ""]]))
    assert rows[0].fields["收缩压"] == "120"


def test_a_missing_column_is_one_finding_that_names_the_nearest_header() -> None:
    rows = read(book(s=[["健康档案编号", "随访日期", "收缩血压(mmHg)", "身份证号"], ["a", "2026-01-01", 1], ["b", "2026-01-02", 2]]))
    (finding,) = rows[0].findings
    assert (finding.code, finding.source) == ("missing-column", "收缩压(mmHg)")
    assert "收缩血压(mmHg)" in finding.message
    assert rows[1].findings == ()


def test_formula_error_holds_its_row_and_names_row_and_column() -> None:
    rows = read(book(随访=[HEAD, ["a", "2026-01-01", ("=1/0", "#DIV/0!"), ""], ["b", "2026-01-01", 120, ""]]))
    (finding,) = rows[0].findings
    assert (finding.code, finding.severity, finding.source) == ("formula-error", "hold", "收缩压(mmHg)")
    assert "第2行" in finding.message and "#DIV/0!" in finding.message
    assert "收缩压" not in rows[0].fields
    assert rows[1].findings == ()


def test_formula_error_in_a_column_nobody_reads_is_no_matter() -> None:
    rows = read(book(s=[[*HEAD, "备注"], ["a", "2026-01-01", 120, "", ("=NA()", "#N/A")]]))
    assert rows[0].findings == ()


def test_number_that_excel_shortened_holds_its_row() -> None:
    rows = read(book(s=[HEAD, ["a", "2026-01-01", 120, 390000199001011234]]))
    (finding,) = rows[0].findings
    assert (finding.code, finding.severity, finding.source) == ("number-precision-lost", "hold", "身份证号")
    assert "身份证号" not in rows[0].fields


def test_shortened_number_is_also_seen_in_csv() -> None:
    rows = read(",".join(HEAD).encode() + b"\na,2026-01-01,120,3.90000199001011E+17\n")
    assert [f.code for f in rows[0].findings] == ["number-precision-lost"]


def test_footers_are_skipped_with_a_note_and_repeated_headers_silently() -> None:
    rows = read(book(s=[HEAD, ["a", "2026-01-01", 120], HEAD, ["b", "2026-01-01", 130], ["", "合计 2 人"], ["", "", "制表人: 某"]]))
    assert [r.fields["健康档案编号"] for r in rows] == ["a", "b"]
    (finding,) = rows[-1].findings
    assert finding.code == "footer-skipped" and "第5、6行" in finding.message


def test_excel_day_numbers_become_dates_in_columns_said_to_hold_them() -> None:
    layout = Layout("d", "d/p", {"编号": "编号", "日期": "日期", "时间": "时间"}, options={"dates": ["日期", "时间"]})
    rows = read(book(s=[["编号", "日期", "时间"], ["a", 45658, 45658.5], ["b", "2026-01-01", "46023"]]), layout)
    assert [(r.fields["日期"], r.fields["时间"]) for r in rows] == [("2025-01-01", "2025-01-01T12:00:00"), ("2026-01-01", "2026-01-01")]


def test_sheets_go_to_the_profiles_that_name_them_or_fit_them_and_others_are_told() -> None:
    people = Layout("people", "people/p", {"编号": "编号", "姓名": "姓名"}, options={"sheet": "居民.*"})
    content = book(
        居民一=[["编号", "姓名"], ["1", "甲"]], 随访=[HEAD, ["a", "2026-01-01", 1]], 说明=[["随便写写"]], 居民二=[["编号", "姓名"], ["2", "乙"]]
    )
    rows = read(content, people, FOLLOW_UP)
    assert [(r.dataset, r.position) for r in rows] == [
        ("people", "居民一!第2行"),
        ("hypertension_followup", "随访!第2行"),
        ("people", "居民二!第2行"),
    ]
    assert [f.code for f in rows[-1].findings] == ["sheet-not-read"]


def test_a_file_without_the_expected_header_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        read(book(s=[["a", "b"], [1, 2]]))
    assert caught.value.finding.code == "no-table"
    assert "健康档案编号" in caught.value.finding.message


@pytest.mark.parametrize(
    ("content", "code"), [(b"PK\x03\x04 broken", "broken-workbook"), (b"\xd0\xcf\x11\xe0\xa1\xb1", "old-workbook"), (b"", "no-table")]
)
def test_unreadable_containers_are_refused(content: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        read(content)
    assert caught.value.finding.code == code


@pytest.mark.parametrize("cut", [100, 1500, 3000])
def test_a_workbook_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(Refused) as caught:
        read(book(s=[HEAD, ["a", "2026-01-01", 120]])[:cut])
    assert caught.value.finding.code == "broken-workbook"


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_charset_and_delimiter_are_found(charset: str, delimiter: str) -> None:
    lines = [delimiter.join(HEAD), delimiter.join(['"村一, 二; 三"', "2026-01-01", "120", ""])]
    rows = read("\r\n".join(lines).encode(charset))
    assert rows[0].fields == {"健康档案编号": "村一, 二; 三", "随访日期": "2026-01-01", "收缩压": "120"}
    assert rows[0].position == "第2行"


def test_gbk_that_begins_late_in_an_ascii_file_is_read_as_gbk() -> None:
    layout = Layout("d", "d/p", {"id": "id", "name": "name"})
    content = b"id,name\n" + b"1,x\n" * 50_000 + "2,张\n".encode("gbk")
    assert read(content, layout)[-1].fields == {"id": "2", "name": "张"}


def test_bytes_of_no_charset_are_refused_with_their_line() -> None:
    with pytest.raises(Refused) as caught:
        read(",".join(HEAD).encode() + b"\na,2026-01-01,120,\n\xff\xff\xfe,\n")
    assert caught.value.finding.code == "undecodable"
    assert "第3行" in caught.value.finding.message


def test_a_stream_that_cannot_seek_is_spooled() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError("not seekable")

    content = Pipe(",".join(HEAD).encode() + b"\na,2026-01-01,120,\n")
    assert next(adapter.compile([FOLLOW_UP])(content)).fields["收缩压"] == "120"


def test_big_workbooks_are_streamed_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    content = book(s=[["标题"], HEAD, ["a", datetime(2026, 1, 31, 8, 5), 120.5, 390000199001011234], ["b", "2026-01-01", ("=1/0", "#DIV/0!"), ""]])
    whole = read(content)
    monkeypatch.setattr("adapters.sheet.workbook.BIG", 10)
    streamed = read(content)
    assert [(r.fields, r.findings, r.position) for r in streamed] == [(r.fields, r.findings, r.position) for r in whole]


def grids(content: bytes) -> list[tuple[str, list[tuple[int, list[str]]]]]:
    """Sheets with their rows as texts, without blank cells at the end of a row and blank rows."""
    found = []
    for grid in workbook(io.BytesIO(content)):
        rows = [(number, [cell_text(c) or "" for c in cells]) for number, cells in grid.rows]
        trimmed = [(number, cells[: 1 + max((i for i, c in enumerate(cells) if c), default=-1)]) for number, cells in rows]
        found.append((grid.name, [(number, cells) for number, cells in trimmed if cells]))
    return found


@pytest.mark.parametrize("constant_memory", [False, True], ids=["shared texts", "texts in the cells"])
@pytest.mark.parametrize("date_1904", [False, True])
def test_a_streamed_workbook_shows_what_an_ordinary_one_does(monkeypatch: pytest.MonkeyPatch, constant_memory: bool, date_1904: bool) -> None:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"constant_memory": constant_memory, "date_1904": date_1904}) as made:
        formats = [made.add_format({"num_format": code}) for code in ("yyyy-mm-dd", "hh:mm", "[h]:mm", 31, "0.00", "yyyy年m月d日", 14)]
        sheet = made.add_worksheet("甲")
        sheet.write_row(0, 0, ["文字", " 两端有空格 ", "a<b&c", "第二行\n", 5.6, 120, -3, 1e20, 0.1 + 0.2, 390000199001011234, True, False])
        for column, style in enumerate(formats):
            sheet.write_number(2, column + 1, 45658.25, style)
            sheet.write_number(3, column + 1, 45658, style)
        sheet.write_string(4, 27, "AB 列")
        sheet.write_formula(4, 28, "=1+1", None, 2)
        if not constant_memory:
            sheet.write_rich_string(5, 0, "收缩", made.add_format({"bold": True}), "压", "高")
        made.add_worksheet("藏").hide()
        made.add_worksheet("乙").write_string(0, 0, "文字")
        made.add_worksheet("空")
    whole = grids(file.getvalue())
    monkeypatch.setattr("adapters.sheet.workbook.BIG", 10)
    monkeypatch.setattr("adapters.sheet.streamed._HELD", 4)  # texts go to a file
    assert grids(file.getvalue()) == whole
    assert [name for name, _ in whole] == ["甲", "乙", "空"]


def test_rows_of_one_report_become_one_record() -> None:
    layout = Layout(
        "laboratory_report",
        "laboratory_report/rows",
        {"报告单号": "报告单号", "姓名": "姓名"},
        {
            "申请": GroupLayout(
                each="rows",
                fields={"申请单号": "申请单号"},
                options={"by": ["申请单号"]},
                groups={"结果": GroupLayout(each="rows", fields={"项目": "项目", "值": "结果值"})},
            )
        },
        key=("报告单号",),
    )
    table = [
        ["报告单号", "姓名", "申请单号", "项目", "结果值"],
        ["R1", "甲", "A", "GLU", "5.60"],
        ["R2", "乙", "C", "K", "4.1"],
        ["R1", "甲", "A", "NA", "140"],
    ]
    rows = read(book(s=[*table, ["", "", "", "CL", "101"], ["R1", "甲", "B", "WBC", "6"]]), layout)
    assert [r.position for r in rows] == ["s!第2,4-6行", "s!第3行"]
    assert rows[0].fields["申请"] == [
        {"申请单号": "A", "结果": [{"项目": "GLU", "值": "5.60"}, {"项目": "NA", "值": "140"}, {"项目": "CL", "值": "101"}]},
        {"申请单号": "B", "结果": [{"项目": "WBC", "值": "6"}]},
    ]


def test_locators_are_checked() -> None:
    assert adapter.check_locator("收缩压(mmHg)") is None
    assert adapter.check_locator(" ") is not None
    assert adapter.check_locator("收缩压 ") is not None


def test_a_group_that_flat_rows_cannot_have_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="用药"):
        adapter.compile([Layout("d", "d/p", {"a": "a"}, {"用药": GroupLayout(each="/x")})])
