"""What a compiled map does with a record: absence, lists, choices, keys, references, tables, limits, partial reports."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.mapping.catalogue import MapContext
from gateway.record import CLEAR, Draft, MapResult
from tests.mapping import small
from tests.mapping.small import CONTEXT, bind, record, run

HEAD = "map 报告 from report\nlet 患者 = person(身份证号, 病人号)\n"
KEY = '  identifier = key("lab", 机构代码, 报告号)\n'
REPORT = f"""DiagnosticReport 报告
{KEY}  status = 状态 | table("status")
  code = code("loinc", "14771-0")
  subject = 患者
  result = 单项
"""
RESULT = """Observation 单项 each 结果 as 果
  identifier = key("item", 报告号, 果.项目, 果.序号)
  status = "final"
  code = 果.项目 | table("items-table")
  subject = 患者
  value[x] = 果.值 | result(果.单位)
"""
NESTED = REPORT + "\n" + "".join(f"  {line}\n" for line in RESULT.splitlines())


def ignoring(*names: str) -> str:
    return "".join(f'ignore {n} because "x"\n' for n in names)


def whole(text: str) -> str:
    """The map with every field that it does not name ignored."""
    fields = ["机构代码", "报告号", "病人号", "性别", "状态", "体温", "症状", "时间", "备注"]
    rows = ["项目", "值", "单位", "次数", "序号"]
    unused = [f for f in fields if f not in text] + ([f"结果.{r}" for r in rows if f".{r}" not in text] if "each 结果" in text else ["结果"])
    return text + ignoring(*unused)


def of(result: MapResult, block: str) -> list[Draft]:
    return [d for d in result.drafts if d.block == block]


def observation(lines: str) -> str:
    block = f'Observation 单\n{KEY}  status = "final"\n  code = code("loinc", "14771-0")\n  subject = 患者\n'
    return whole(HEAD + block + "".join(f"  {line}\n" for line in lines.splitlines()))


def body(lines: str, **fields: Any) -> dict[str, Any]:
    return run(observation(lines), **fields).drafts[0].body


def test_absent_in_absent_out() -> None:
    made = body('note.text = 备注\nvalueQuantity = 体温 | quantity("Cel")')
    assert "note" not in made and "valueQuantity" not in made


def test_decimal_keeps_its_precision() -> None:
    made = body('valueQuantity = 体温 | quantity("Cel")', 体温="36.50")
    assert made["valueQuantity"]["value"] == Decimal("36.50")
    assert str(made["valueQuantity"]["value"]) == "36.50"


def test_lists_where_r4_says_list_and_scalars_where_scalar() -> None:
    made = body('category = code("loinc", "1")\nbodySite = code("loinc", "2")')
    assert isinstance(made["category"], list) and isinstance(made["bodySite"], dict)


def test_dotted_lines_fill_one_element() -> None:
    made = body("referenceRange.text = 备注\nreferenceRange.low.value = 1", 备注="a")
    assert made["referenceRange"] == [{"text": "a", "low": {"value": 1}}]


def test_repeated_line_appends() -> None:
    made = body("note\n  text = 备注\nnote\n  text = 状态", 备注="a", 状态="1")
    assert [n["text"] for n in made["note"]] == ["a", "1"]


def test_element_of_constants_alone_is_not_written_when_its_data_is_absent() -> None:
    lines = 'component\n  code = code("loinc", "1")\n  valueString = 备注'
    assert "component" not in body(lines)
    assert body(lines, 备注="x")["component"][0]["valueString"] == "x"


def test_each_over_a_repeating_field() -> None:
    made = body("note each 症状 as 症\n  text = 症", 症状=["1", "2"])
    assert [n["text"] for n in made["note"]] == ["1", "2"]


def test_table_over_a_repeating_field_gives_a_coding_each() -> None:
    made = body('interpretation = 症状 | table("symptoms")', 症状=["1", "2"])
    assert [c["coding"][0]["code"] for c in made["interpretation"]] == ["25064002", "404640003"]


def test_conditions() -> None:
    cases: dict[str, list[tuple[dict[str, Any], bool]]] = {
        "备注": [({"备注": "x"}, True), ({}, False)],
        "not 备注": [({}, True), ({"备注": "x"}, False)],
        '备注 = "x"': [({"备注": "x"}, True), ({"备注": "y"}, False), ({}, False)],
        '备注 != "x"': [({"备注": "y"}, True), ({"备注": "x"}, False), ({}, False)],
        "体温 >= 37.5": [({"体温": "37.50"}, True), ({"体温": "37.4"}, False), ({}, False)],
        "体温 < 100": [({"体温": "38"}, True)],
        '备注 in ("a", "b")': [({"备注": "b"}, True), ({"备注": "c"}, False)],
        '备注 not in ("a", "b")': [({"备注": "c"}, True), ({"备注": "a"}, False), ({}, False)],
        '症状 = "2"': [({"症状": ["1", "2"]}, True), ({"症状": ["1"]}, False)],
        '备注 = "x" or 体温 > 38 and not 症状': [
            ({"体温": "39"}, True),
            ({"体温": "39", "症状": ["1"]}, False),
            ({"备注": "x", "症状": ["1"]}, True),
        ],
    }
    for condition, examples in cases.items():
        text = observation(f'valueString = "yes" when {condition}')
        binding = bind(text)
        for fields, expected in examples:
            made = binding.map(record(binding, **fields), CONTEXT).drafts[0].body
            assert ("valueString" in made) is expected, (condition, fields)


def test_key_writes_the_business_number_and_derives_the_id() -> None:
    draft = run(observation("")).drafts[0]
    assert draft.id == IdScheme(TEST_KEY, "x").derive("Observation", "lab", ("A1", "R/1"))
    assert draft.body["identifier"] == [{"system": "https://base.invalid/fhir/ids/lab", "value": "A1/R%2F1"}]
    assert "id" not in draft.body


def test_empty_key_part_is_a_hold_unless_optional() -> None:
    text = whole(HEAD + RESULT)
    held = run(text, 结果=[{"值": "5.6", "单位": "mmol/L"}])
    assert [(f.code, f.severity) for f in held.findings] == [("missing-key", "hold")]
    assert run(text, 结果=[{"项目": "GLU", "值": "5.6", "单位": "mmol/L"}]).findings == []


def test_reference_live_and_portable() -> None:
    text = observation('performer = ref("Organization", "org", 机构代码)')
    binding = bind(text)
    live = binding.map(record(binding), CONTEXT).drafts[0].body["performer"][0]
    assert live["reference"] == "Organization/" + CONTEXT.ids.derive("Organization", "org", ("A1",))
    portable = binding.map(record(binding), MapContext(CONTEXT.ids, portable=True)).drafts[0].body
    assert portable["performer"] == [{"type": "Organization", "identifier": live["identifier"]}]
    assert portable["subject"]["reference"].startswith("urn:uuid:")


def test_patient_references_are_the_claims_one_dict() -> None:
    result = run(observation(""), 病人号="P7", 姓名="柏舟", 性别="2")
    claim = result.claims[0]
    claim.reference["reference"] = "Patient/7"
    assert result.drafts[0].body["subject"] == {"reference": "Patient/7"}
    assert result.drafts[0].patients == (("subject", claim),)
    assert [(n.system, n.value, n.strong) for n in claim.numbers] == [
        ("urn:oid:2.16.156.10011.1.3", small.CARD, True),
        ("https://lis.invalid/ids/病人号", "P7", False),
    ]
    assert (claim.name, claim.sex) == ("柏舟", "female")


def test_person_without_a_number_is_held() -> None:
    result = run(observation(""), 身份证号=None)
    assert [(f.code, f.severity) for f in result.findings] == [("no-person-number", "hold")]
    assert result.held and result.drafts


def test_patient_block_carries_its_claim_and_no_id() -> None:
    text = whole(HEAD + 'Patient 人 merge\n  name.text = 姓名\n  gender = 性别 | table("sex")\n')
    draft = run(text, 姓名="柏舟", 性别="2").drafts[0]
    assert (draft.id, draft.compose, draft.body["gender"]) == ("", "merge", "female")
    assert draft.person is not None and draft.person.numbers


def test_block_references_same_row_inner_rows_and_forward() -> None:
    result = run(whole(HEAD + NESTED), 状态="1", 结果=[{"项目": "GLU", "值": "5.60", "单位": "mmol/L"}, {"项目": "K", "值": "4.1", "单位": "mmol/L"}])
    report, *items = result.drafts
    assert report.type == "DiagnosticReport" and [d.block for d in items] == ["单项", "单项"]
    assert report.body["result"] == [{"reference": f"Observation/{d.id}"} for d in items]
    top_level = run(whole(HEAD + REPORT + RESULT), 状态="1", 结果=[{"项目": "GLU", "值": "5.60", "单位": "mmol/L"}])
    assert top_level.drafts[0].body["result"] == [{"reference": f"Observation/{top_level.drafts[1].id}"}]


def test_forward_reference_to_a_lost_block_falls_away_with_a_finding() -> None:
    second = f'ServiceRequest 单\n{KEY}  status = 备注 | table("request-status")\n  intent = "order"\n  subject = 患者\n'
    first = f'Observation 测\n{KEY}  status = "final"\n  code = code("loinc", "1")\n  basedOn = 单\n  subject = 患者\n'
    more = {"tables/request-status.csv": small.TABLE + "a,,urn:x,active,,,\n"}
    binding = bind(whole(HEAD + first + second), more=more)
    whole_result = binding.map(record(binding, 备注="a"), CONTEXT)
    assert whole_result.drafts[0].body["basedOn"] == [{"reference": f"ServiceRequest/{whole_result.drafts[1].id}"}]
    lost = binding.map(record(binding), CONTEXT)
    assert "basedOn" not in lost.drafts[0].body and [d.type for d in lost.drafts] == ["Observation"]
    assert [(f.code, f.severity) for f in lost.findings] == [("required-missing", "drop"), ("reference-lost", "note")]


def test_single_result_beyond_possible_limits_is_withheld_and_the_report_partial() -> None:
    rows = [{"项目": "GLU", "值": "90", "单位": "mmol/L"}, {"项目": "K", "值": "4.1", "单位": "mmol/L"}]
    result = run(whole(HEAD + NESTED), 状态="1", 结果=rows)
    report = of(result, "报告")[0]
    assert report.partial and report.body["status"] == "partial"
    assert len(report.body["result"]) == 1 and len(of(result, "单项")) == 1
    assert [d.body["valueQuantity"]["value"] for d in result.withheld] == [Decimal("90")]
    assert not result.held and "impossible-value" in [f.code for f in result.findings]


def test_row_beyond_its_fields_limits_is_withheld() -> None:
    text = whole(HEAD + NESTED + "    note.text = 果.次数\n")
    rows = [{"项目": "GLU", "值": "5.6", "单位": "mmol/L", "次数": "99"}, {"项目": "K", "值": "4.1", "单位": "mmol/L", "次数": "1"}]
    result = run(text, 状态="1", 结果=rows)
    assert len(result.withheld) == 1 and of(result, "报告")[0].body["status"] == "partial"


def test_report_that_lost_a_value_is_partial() -> None:
    text = whole(HEAD + NESTED.replace("value[x] = 果.值 | result(果.单位)", 'valueQuantity = 果.值 | quantity("mmol/L")'))
    result = run(text, 状态="1", 结果=[{"项目": "GLU", "值": "坏"}, {"项目": "K", "值": "4.1"}])
    assert of(result, "报告")[0].partial and len(of(result, "单项")) == 2


def test_complete_report_keeps_its_status() -> None:
    result = run(whole(HEAD + NESTED), 状态="2", 结果=[{"项目": "K", "值": "4.1", "单位": "mmol/L"}])
    assert not of(result, "报告")[0].partial and of(result, "报告")[0].body["status"] == "corrected"


def test_lost_required_element_drops_the_block() -> None:
    result = run(whole(HEAD + REPORT.replace("  result = 单项\n", "")))
    assert result.drafts == [] and [(f.code, f.severity) for f in result.findings] == [("required-missing", "drop")]


def test_untranslated_code_is_a_hold_for_code_and_a_note_for_a_concept() -> None:
    held = run(whole(HEAD + REPORT.replace("  result = 单项\n", "")), 状态="9")
    assert ("untranslated-code", "hold") in [(f.code, f.severity) for f in held.findings]
    noted = run(whole(HEAD + RESULT), 结果=[{"项目": "新项", "值": "1", "单位": "mmol/L"}])
    assert [(f.code, f.severity) for f in noted.findings] == [("untranslated-code", "note")]
    assert noted.drafts[0].body["code"]["coding"] == [{"system": "https://lis.invalid/codes/项目", "code": "新项"}]


def test_row_without_target_says_that_nothing_corresponds() -> None:
    result = run(whole(HEAD + RESULT), 结果=[{"项目": "X", "值": "1", "单位": "mmol/L"}])
    assert result.findings == []
    assert result.drafts[0].body["code"] == {"coding": [{"system": "https://lis.invalid/codes/项目", "code": "X"}], "text": "杂项"}


def test_source_coding_stands_beside_the_national_one_only_where_it_differs() -> None:
    text = observation('valueCodeableConcept = 性别 | table("sex")')
    profile = small.PROFILE + '[codes."性别"]\n"男" = "1"\n"1" = "1"\n'
    binding = bind(text, profile=profile)
    codings = [binding.map(record(binding, 性别=g), CONTEXT).drafts[0].body["valueCodeableConcept"]["coding"] for g in ("男", "1")]
    assert [c["code"] for c in codings[0]] == ["male", "1", "男"]
    assert [c["code"] for c in codings[1]] == ["male", "1"]
    assert codings[0][2]["system"] == "https://lis.invalid/codes/性别"


def test_prebuilt_values_are_shared_but_not_changed_by_text_beside_them() -> None:
    text = whole(
        HEAD + RESULT.replace('  code = 果.项目 | table("items-table")\n', '  code = 果.项目 | table("items-table")\n  code.text = 果.序号\n')
    )
    rows = [{"项目": "K", "序号": "a", "值": "1", "单位": "mmol/L"}, {"项目": "K", "序号": "b", "值": "1", "单位": "mmol/L"}]
    assert [d.body["code"]["text"] for d in run(text, 结果=rows).drafts] == ["a", "b"]


def test_two_rows_with_one_key_and_different_content_are_held() -> None:
    rows = [{"项目": "K", "值": "1", "单位": "mmol/L"}, {"项目": "K", "值": "2", "单位": "mmol/L"}]
    result = run(whole(HEAD + RESULT), 结果=rows)
    assert [(f.code, f.severity) for f in result.findings] == [("double-key", "hold")]
    same = run(whole(HEAD + RESULT), 结果=[rows[0], dict(rows[0])])
    assert len(same.drafts) == 1 and same.findings == []


def test_fault_names_target_source_and_line() -> None:
    finding = run(observation('valueQuantity = 体温 | quantity("Cel")'), 体温="发热").findings[0]
    assert (finding.severity, finding.target, finding.source) == ("drop", "Observation.valueQuantity", "TEMP")
    assert finding.line == "lab/report/report.map:8:3"


def test_latest_by_gives_the_value_that_orders() -> None:
    text = observation("").replace("Observation 单\n", "Observation 单 latest by 备注\n").replace(ignoring("备注"), "")
    assert run(text, 备注="2026-01-02").drafts[0].by == "2026-01-02"


def test_fragment_and_or_else_on_composites() -> None:
    fields = small.FIELDS + "PID-11,地址,,yes,,XAD,,,,,,,no,,,HL7,\nPID-5,姓名,,,,XPN,,,,,,,no,,,HL7,\n"
    block = "Patient 人\n  name.text = PID-5.2 | or_else(PID-5.1.1)\n  address = PID-11 | XAD\n"
    fragment = "fragment XAD(HL7 XAD) -> Address\n  line = $1.1\n  city = $3 | or_else($4)\n"
    binding = bind(whole(HEAD + block + fragment), fields=fields)
    address = [{"": "x", "1.1": "石桥村", "3": "云泽"}, {"": "y", "4": "示例省"}, {"": "z", "6": "CN"}]
    made = binding.map(record(binding, **{"PID-11": address, "PID-5": {"": "w", "1.1": "王"}}), CONTEXT).drafts[0].body
    assert made["address"] == [{"line": ["石桥村"], "city": "云泽"}, {"city": "示例省"}]
    assert made["name"] == [{"text": "王"}]
    assert {"PID-11.1.1", "PID-11.3", "PID-11.4", "PID-5.2", "PID-5.1.1"} <= binding.layouts[0].used


def test_cleared_field_names_the_element_it_clears() -> None:
    fields = small.FIELDS + "PID-8,性别,,,,IS,,,,,,,no,,,HL7,\n"
    binding = bind(whole(HEAD + 'Patient 人\n  name.text = 姓名\n  gender = PID-8 | table("sex")\n'), fields=fields)
    draft = binding.map(record(binding, **{"姓名": "柏舟", CLEAR: ["PID-8"]}), CONTEXT).drafts[0]
    assert draft.clear == ("gender",)


def test_the_sites_own_print_forms_of_units_reach_every_function_that_reads_one() -> None:
    text = observation('valueQuantity = 体温 | quantity("Cel")\nreferenceRange.low = 备注 | range_low(状态)')
    own = {"tables/units.csv": "print,ucum,factor\n℃,Cel,\n分度,Cel,1/10\nmmol每升,mmol/L,\n"}
    for more, findings in ((own, []), ({}, ["unit-mismatch"])):
        binding = bind(text, more=more)
        result = binding.map(record(binding, 体温="365分度", 备注="3.9-6.1", 状态="mmol每升"), CONTEXT)
        assert [f.code for f in result.findings if f.code != "unknown-code"] == findings
        low = result.drafts[0].body["referenceRange"][0]["low"]
        assert (low.get("code"), str(low["value"])) == ("mmol/L" if more else None, "3.9")
        if more:
            assert result.drafts[0].body["valueQuantity"] == {
                "value": Decimal("36.5"),
                "unit": "℃",
                "system": "http://unitsofmeasure.org",
                "code": "Cel",
            }
