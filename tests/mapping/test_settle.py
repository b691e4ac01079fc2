"""References to what is written later, when it is lost after all."""

from __future__ import annotations

from gateway.record import RELEASED
from tests.mapping import small
from tests.mapping.small import CONTEXT, bind, record, run
from tests.mapping.test_compile import HEAD, KEY, REPORT, RESULT, of, whole

GOOD = {"项目": "K", "值": "4.1", "单位": "mmol/L"}
BAD = {"项目": "GLU", "值": "90", "单位": "mmol/L"}
FORWARD = whole(HEAD + REPORT + RESULT)


def test_a_report_before_its_results_is_partial_when_one_is_withheld() -> None:
    result = run(FORWARD, 状态="1", 结果=[BAD, GOOD])
    (report,) = of(result, "报告")
    assert report.partial and report.body["status"] == "partial"
    assert report.body["result"] == [{"reference": f"Observation/{of(result, '单项')[0].id}"}]
    assert [d.block for d in result.withheld] == ["单项"]


def test_a_report_before_its_results_is_partial_when_one_lost_its_value() -> None:
    text = whole(HEAD + REPORT + RESULT.replace("value[x] = 果.值 | result(果.单位)", 'valueQuantity = 果.值 | quantity("mmol/L")'))
    result = run(text, 状态="1", 结果=[{"项目": "K", "值": "坏"}, GOOD])
    (report,) = of(result, "报告")
    assert report.partial and report.body["status"] == "partial" and len(report.body["result"]) == 2


def test_a_report_all_of_whose_results_stand_keeps_its_status() -> None:
    (report,) = of(run(FORWARD, 状态="1", 结果=[GOOD]), "报告")
    assert not report.partial and report.body["status"] == "final"


def test_a_released_result_is_written_and_its_report_is_complete() -> None:
    binding = bind(FORWARD)
    held = binding.map(record(binding, 状态="1", 结果=[BAD, GOOD]), CONTEXT)
    let_pass = record(binding, 状态="1", 结果=[BAD, GOOD])
    let_pass.fields[RELEASED] = frozenset(f"{d.type}/{d.id}" for d in held.withheld)
    result = binding.map(let_pass, CONTEXT)
    (report,) = of(result, "报告")
    assert result.withheld == [] and len(of(result, "单项")) == 2
    assert not report.partial and report.body["status"] == "final" and len(report.body["result"]) == 2


def test_losing_a_required_reference_loses_the_resource_and_what_refers_to_it() -> None:
    task = f'Task 任务\n{KEY}  status = "requested"\n  intent = "order"\n  focus = 声明\n'
    flag = f'Flag 声明\n{KEY}  status = "active"\n  code.text = 报告号\n  subject = 术\n'
    surgery = f'Procedure 术\n{KEY}  status = 备注 | table("surgery-status")\n  subject = 患者\n'
    more = {"tables/surgery-status.csv": small.TABLE + "a,,urn:x,completed,,,\n"}
    binding = bind(whole(HEAD + task + flag + surgery), more=more)
    complete = binding.map(record(binding, 备注="a"), CONTEXT)
    assert [d.block for d in complete.drafts] == ["任务", "声明", "术"]
    lost = binding.map(record(binding), CONTEXT)
    assert [d.block for d in lost.drafts] == ["任务"] and "focus" not in lost.drafts[0].body
    assert [(f.code, f.target) for f in lost.findings] == [
        ("required-missing", "Procedure"),
        ("reference-lost", "Flag.subject"),
        ("required-missing", "Flag"),
        ("reference-lost", "Task.focus"),
    ]


def test_an_element_below_that_loses_its_required_reference_is_left_out() -> None:
    visit = (
        f'Encounter 诊\n{KEY}  status = "finished"\n  class = code("loinc", "1")\n  subject = 患者\n  diagnosis\n    condition = 病\n    rank = 1\n'
    )
    second = "  diagnosis\n    condition = 症\n"
    sick = 'Procedure 病\n  identifier = key("p1", 报告号)\n  status = 备注 | table("surgery-status")\n  subject = 患者\n'
    other = 'Condition 症\n  identifier = key("c1", 报告号)\n  code.text = 状态\n  subject = 患者\n'
    more = {"tables/surgery-status.csv": small.TABLE + "a,,urn:x,completed,,,\n"}
    binding = bind(whole(HEAD + visit + second + sick + other), more=more)
    complete = binding.map(record(binding, 备注="a", 状态="1"), CONTEXT)
    assert len(complete.drafts[0].body["diagnosis"]) == 2
    lost = binding.map(record(binding, 状态="1"), CONTEXT).drafts[0].body
    assert lost["diagnosis"] == [{"condition": {"reference": f"Condition/{complete.drafts[2].id}"}}]


def test_a_reference_by_key_and_a_block_with_the_same_key_stand_side_by_side() -> None:
    first = 'Encounter 诊\n  identifier = key("visit", 机构代码, 报告号)\n  status = "finished"\n  class = code("loinc", "1")\n  subject = 患者\n'
    second = f'Observation 测\n{KEY}  status = "final"\n  code = code("loinc", "1")\n  encounter = ref("Encounter", "visit", 机构代码, 报告号)\n'
    later = 'Encounter 次\n  identifier = key("visit", 机构代码, 状态)\n  status = "finished"\n  class = code("loinc", "1")\n'
    result = run(whole(HEAD + second + first + later + "  subject = 患者\n"), 状态="1")
    observation, encounter, other = result.drafts
    assert observation.body["encounter"]["reference"] == f"Encounter/{encounter.id}"
    assert observation.body["encounter"]["identifier"] == encounter.body["identifier"][0]
    assert other.id != encounter.id
