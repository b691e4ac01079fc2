"""Every message of the checker: a map that provokes it, where it points, what it expected, what to do next."""

from __future__ import annotations

import pytest

from gateway.mapping.check import check_change
from gateway.mapping.model import Fault
from tests.mapping import small

IGNORE = 'ignore 结果, 备注, 体温, 症状, 性别, 状态, 时间 because "not of this test"\n'
HEAD = "map 报告 from report\nlet 患者 = person(身份证号, 病人号)\n"
KEY = '  identifier = key("lab", 机构代码, 报告号)\n'
STATUS = '  status = "final"\n'
CODE = '  code = code("loinc", "14771-0")\n'
BLOCK = f"Observation 单 when 报告号\n{KEY}{STATUS}{CODE}  subject = 患者\n"


def found(body: str, code: str, head: str = HEAD, ignore: str = IGNORE) -> Fault:
    """The one fault of that kind."""
    faults = small.faults(head + body + ignore)
    hits = [f for f in faults if f.code == code]
    assert len(hits) == 1, [str(f) for f in faults]
    assert hits[0].message and hits[0].expected and hits[0].next_step
    return hits[0]


CASES = {
    "unknown-field": (BLOCK + "  issued = 报告时\n", "8:12", "最接近的是 报告号"),
    "not-in-r4": (BLOCK + "  valueQuantities = 备注\n", "8:3", "最接近的是 valueQuantity"),
    "written-twice": (BLOCK + '  status = "amended"\n', "8:3", "第 5 行已写"),
    "choice-twice": (BLOCK + "  valueString = 备注\n  value[x] = 状态\n", "9:3", "value[x] 写了两次"),
    "list-for-scalar": (BLOCK + "  valueString = 症状\n", "8:3", "只能有一个值"),
    "type": (BLOCK + "  effectiveDateTime = 时间\n", "8:3", "要 dateTime"),
    "code-not-allowed": (BLOCK.replace('"final"', '"finish"'), "5:3", "最接近的是 final"),
    "code-from-text": (BLOCK.replace('"final"', "状态"), "5:3", "不能直接写入"),
    "table-incomplete": (BLOCK.replace('"final"', '状态 | table("short")'), "5:3", "缺 2 已更正"),
    "required-element": (BLOCK.replace(CODE, ""), "3:1", "没有写 code"),
    "unit": (BLOCK + '  valueQuantity = 体温 | quantity("℃")\n', "8:33", "不是 UCUM 单位"),
    "unknown-function": (BLOCK + "  effectiveDateTime = 时间 | datetme\n", "8:28", "没有函数 datetme"),
    "unknown-table": (BLOCK.replace('"final"', '状态 | table("statuses")'), "5:23", "没有对照表 statuses"),
    "unknown-codesystem": (BLOCK.replace('"loinc"', '"loink"'), "6:15", "最接近的是 loinc"),
    "unknown-profile": (BLOCK + '  meta.profile = profile("blood")\n', "8:26", "没有规范 blood"),
    "unknown-identifier": (BLOCK + '  note.text = system("身份")\n', "8:22", "没有号码 身份"),
    "arguments": (BLOCK + "  effectiveDateTime = 时间 | dateTime(备注, 备注, 备注)\n", "8:28", "3 个参数"),
    "each": (BLOCK + "  note each 备注 as 注\n    text = 注\n", "8:13", "不重复"),
    "no-key": (BLOCK.replace(KEY, ""), "3:1", "没有业务号"),
    "key-twice": (BLOCK + KEY, "8:3", "两个 key"),
    "reference-target": (BLOCK + '  specimen = ref("Patient", "x", 报告号)\n', "8:3", "不能引用 Patient"),
    "block-in-element": (BLOCK + f'  component\n    code = code("loinc", "1")\n    Observation 内\n    {KEY}', "10:5", "不能写在元素里面"),
    "unknown-type": ("Observatoin 单\n" + KEY, "3:1", "最接近的是 Observation"),
    "no-children": (BLOCK + "  status.text = 备注\n", "8:3", "没有下一层元素"),
    "not-an-identifier": (BLOCK + "  performer = person(备注)\n", "8:22", "哪一种号码"),
    "input-outside": (BLOCK + "  valueString = $1\n", "8:17", "fragment"),
    "was-misplaced": (BLOCK + '  valueString = 备注 was key("x", 报告号)\n', "8:24", "was"),
    "block-twice": (BLOCK + BLOCK, "8:1", "用了两次"),
    "patient-key": ("Patient 人\n" + KEY + "  name.text = 姓名\n" + BLOCK, "4:3", "由网关分配"),
    "group-as-value": (BLOCK + "  valueString = 结果\n", "8:17", "是一个组"),
    "not-composite": (BLOCK + "  valueString = 备注.1\n", "8:17", "没有分量"),
}


@pytest.mark.parametrize("code", CASES)
def test_message_says_where_what_was_expected_and_what_next(code: str) -> None:
    body, where, words = CASES[code]
    fault = found(body, code)
    assert str(fault.place) == f"lab/report/report.map:{where}"
    assert words in fault.message


def test_field_neither_used_nor_ignored_points_at_its_row() -> None:
    fault = found(BLOCK, "unused-field", ignore=IGNORE.replace("备注, ", ""))
    assert str(fault.place) == "lab/report/fields.csv:12:1"
    assert "备注" in fault.message and "ignore" in fault.next_step


def test_ignored_and_used_contradict() -> None:
    assert "写了 ignore" in found(BLOCK + "  valueString = 备注\n", "ignored-and-used").message


def test_unused_let_and_fragment() -> None:
    fragment = "fragment XX(HL7 XX) -> Address\n  city = $1\n"
    assert str(found("let 多 = 备注\n" + BLOCK + fragment, "unused-let", ignore=IGNORE.replace("备注, ", "")).place).endswith(":3:5")
    assert "片段 XX" in found(BLOCK + fragment, "unused-fragment").message


def test_second_let_of_a_name() -> None:
    assert str(found("let 患者 = 备注\n" + BLOCK, "let-twice", ignore=IGNORE.replace("备注, ", "")).place).endswith(":3:5")


def test_block_over_another_group_is_out_of_reach() -> None:
    fields = small.FIELDS + "标本,标本,,,,group,,,,,,,no,,,本系统自定,\n条码,条码,标本,,,text,,,,,,,no,,,本系统自定,\n"
    each = 'Specimen 管 each 标本 as 本\n  identifier = key("s", 本.条码)\n'
    inner = f'Observation 项 each 结果 as 果\n  identifier = key("o", 报告号, 果.项目)\n{STATUS}{CODE}  specimen = 管\n'
    text = HEAD + each + inner + IGNORE.replace("结果, ", "结果.值, 结果.单位, 结果.次数, 结果.序号, ") + 'ignore 机构代码 because "x"\n'
    hits = [f for f in small.faults(text, fields=fields) if f.code == "block-out-of-reach"]
    assert [str(f.place) for f in hits] == ["lab/report/report.map:9:14"]


def test_each_that_makes_resources_needs_a_key_of_its_row() -> None:
    body = f"Observation 项 each 结果 as 果\n{KEY}{STATUS}{CODE}  valueString = 果.值\n"
    fault = found(body, "each-without-key", ignore=IGNORE.replace("结果", "结果.项目, 结果.单位, 结果.次数, 结果.序号"))
    assert str(fault.place) == "lab/report/report.map:4:3"


def test_table_row_outside_a_required_value_set_points_at_the_row() -> None:
    fault = found(BLOCK.replace('"final"', '状态 | table("bad-status")'), "code-not-allowed")
    assert str(fault.place) == "tables/bad-status.csv:2:1"
    assert "finished" in fault.message


BP = """Observation 压
  identifier = key("lab", 机构代码, 报告号)
  meta.profile = profile("blood-pressure")
  status = "final"
  category = code("observation-category", "vital-signs")
  code = code("loinc", "85354-9")
  subject = 患者
  effectiveDateTime = 时间 | dateTime
  component when 体温
    code = code("loinc", "8480-6")
    valueQuantity = 体温 | quantity("mm[Hg]")
  component when 体温
    code = code("loinc", "8462-4")
    valueQuantity = 体温 | quantity("mm[Hg]")
"""
BP_IGNORE = 'ignore 结果, 备注, 症状, 性别, 状态 because "x"\n'


def test_bound_profile_is_kept() -> None:
    assert small.faults(HEAD + BP + BP_IGNORE) == []


def test_profile_fixed_value_contradicted() -> None:
    fault = found(BP.replace("85354-9", "55284-4"), "profile-fixed", ignore=BP_IGNORE)
    assert str(fault.place) == "lab/report/report.map:8:3"
    assert "85354-9" in fault.expected


def test_profile_required_element_and_slice() -> None:
    without = BP.replace("  effectiveDateTime = 时间 | dateTime\n", "")
    assert "effective[x]" in found(without, "profile-required", ignore=BP_IGNORE).message
    assert "vital-signs" in found(BP.replace("vital-signs", "exam"), "profile-required", ignore=BP_IGNORE).message


def test_profile_of_another_type() -> None:
    assert "laboratory-report" in found(BP.replace("blood-pressure", "laboratory-report"), "profile-type", ignore=BP_IGNORE).message


def test_element_that_the_profile_forbids() -> None:
    assert "不允许" in found(BP + '  valueString = "x"\n', "not-in-profile", ignore=BP_IGNORE).message


SYNTAX = {
    "no-header": ('Observation 单\n  status = "final"\n', "1:1"),
    "tab": ("map 报告 from report\nlet a = 报告号\n\tlet b = 报告号\n", "3:1"),
    "indentation": ("map 报告 from report\n  let a = 报告号\n", "2:3"),
    "open-string": ('map 报告 from report\nlet a = "x\n', "2:9"),
    "full-width": ("map 报告 from report\nlet a ＝ 报告号\n", "2:7"),
    "open-parenthesis": ("map 报告 from report\nlet a = person(身份证号\n", "2:1"),
    "nothing-below": ("map 报告 from report\nObservation 单\nlet a = 报告号\n", "2:14"),
    "statement": ('map 报告 from report\nstatus = "final"\n', "2:1"),
    "element": ("map 报告 from report\nObservation 单\n  状态 = 报告号\n", "3:3"),
    "value": ("map 报告 from report\nlet a = \n", "2:9"),
    "reason": ("map 报告 from report\nignore 备注 because\n", "2:18"),
    "syntax": ("map 报告 from report\nlet a = 报告号 报告号\n", "2:13"),
    "name": ("map 报告 from report\nlet when = 报告号\n", "2:5"),
    "field": ('map 报告 from report\nignore "备注" because "x"\n', "2:8"),
    "unreadable": ("map 报告 from report\nlet a = 报告号 ; 报告号\n", "2:13"),
}


@pytest.mark.parametrize("code", SYNTAX)
def test_a_line_that_cannot_be_read(code: str) -> None:
    text, where = SYNTAX[code]
    hits = [f for f in small.faults(text) if f.code == code]
    assert hits and str(hits[0].place) == f"lab/report/report.map:{where}"
    assert hits[0].expected and hits[0].next_step


def test_a_line_that_cannot_be_read_does_not_hide_the_others() -> None:
    text = HEAD + BLOCK.replace('"final"', '"fin').replace("患者\n", "患者人\n") + IGNORE
    assert {"open-string", "unknown-field"} <= {f.code for f in small.faults(text)}


def test_changed_key_needs_was() -> None:
    plans = []
    for key in (KEY, KEY.replace('"lab", ', '"lab2", '), KEY.replace('"lab", ', '"lab2", ').rstrip() + ' was key("lab", 机构代码, 报告号)\n'):
        plan = small.catalogue(HEAD + BLOCK.replace(KEY, key) + IGNORE).entry("report").plan
        assert plan is not None
        plans.append(plan)
    unsaid: list[Fault] = []
    check_change(plans[0], plans[1], unsaid)
    assert [str(f.place) for f in unsaid] == ["lab/report/report.map:4:3"]
    assert 'was key("lab", 机构代码, 报告号)' in unsaid[0].next_step
    said: list[Fault] = []
    check_change(plans[0], plans[2], said)
    assert said == []


PROFILE = {
    "unknown-field": (small.PROFILE.replace('"身份证号" = "ID_NO"', '"身份证" = "ID_NO"'), "身份证"),
    "unknown-group": (small.PROFILE.replace('groups."结果"', 'groups."果"'), "果"),
    "code-default": (small.PROFILE + '[codes."性别"]\n"*" = "1"\n', "默认值"),
    "code-not-national": (small.PROFILE + '[codes."性别"]\n"男" = "7"\n', "7"),
    "no-key": (small.PROFILE.replace('key = ["机构代码", "报告号"]\n', ""), "key"),
    "profile-toml": (small.PROFILE + "[codes\n", "TOML"),
    "profile": (small.PROFILE.replace("key =", "keys ="), "keys"),
    "locator": (small.PROFILE.replace('"TEMP"', '"TEMP?"'), "问号"),
    "unknown-adapter": (small.PROFILE.replace('"plain"', '"plane"'), "plane"),
    "unknown-table": (small.PROFILE + '[tables]\nstatus = "none.csv"\n', "none.csv"),
}


@pytest.mark.parametrize("code", PROFILE)
def test_source_profile_fault_names_its_line(code: str) -> None:
    profile, word = PROFILE[code]
    hits = [f for f in small.faults(HEAD + BLOCK + IGNORE, profile=profile) if f.code == code]
    assert hits and hits[0].place.file == "lab/report/sources/plain.toml"
    assert word in hits[0].message


FORM = {
    "fields-header": (small.FIELDS.replace("name,label", "名称,label"), 1),
    "fields-required": (small.FIELDS.replace("text,,,,,,,key,hold", "text,,,,,,,must,hold", 1), 2),
    "fields-severity": (small.FIELDS.replace("key,hold", "key,stop", 1), 2),
    "fields-limit": (small.FIELDS.replace("Cel,30", "Cel,low"), 9),
    "fields-twice": (small.FIELDS + "备注,备注,,,,text,,,,,,,no,,,本系统自定,\n", 19),
    "unknown-value-set": (small.FIELDS.replace("code,性别", "code,姓别"), 7),
}


@pytest.mark.parametrize("code", FORM)
def test_fields_csv_fault_names_its_row(code: str) -> None:
    fields, line = FORM[code]
    hits = [f for f in small.faults(HEAD + BLOCK + IGNORE, fields=fields) if f.code == code]
    assert hits and (hits[0].place.file, hits[0].place.line) == ("lab/report/fields.csv", line)
