"""检验报告: what the accepted examples must say, and two vendors whose codes contradict each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.datasets.goldens import Golden, check_r4b, goldens
from tests.datasets.sources import bodies, catalogue, mapped, view_line

GOLDENS = goldens("laboratory_report")


def result_of(golden: Golden, text: str) -> dict[str, Any]:
    """The result whose item is printed so."""
    (found,) = [o for o in golden.of_type("Observation") if o["code"]["text"] == text]
    return found


@pytest.mark.parametrize("golden", GOLDENS.values(), ids=lambda g: g.name)
def test_every_resource_passes_the_r4b_models(golden: Golden) -> None:
    for resource in golden.resources:
        check_r4b(resource)


def test_the_map_checks_with_all_profiles() -> None:
    assert [str(f) for f in catalogue().entry("laboratory_report").faults] == []


def test_a_panel_is_a_report_with_its_results_order_and_specimen() -> None:
    golden = GOLDENS["ordinary"]
    renal, blood = golden.of_type("DiagnosticReport")
    orders, specimens = golden.of_type("ServiceRequest"), golden.of_type("Specimen")
    assert [len(renal["result"]), len(blood["result"])] == [3, 3]
    assert renal["basedOn"] == [{"reference": f"ServiceRequest/{orders[0]['id']}"}]
    assert blood["specimen"] == [{"reference": f"Specimen/{specimens[1]['id']}"}]
    known = {f"Observation/{o['id']}" for o in golden.of_type("Observation")}
    assert {r["reference"] for r in renal["result"] + blood["result"]} == known


def test_precision_and_printed_units_survive_beside_ucum() -> None:
    golden = GOLDENS["ordinary"]
    urea, white = result_of(golden, "尿素")["valueQuantity"], result_of(golden, "白细胞计数")["valueQuantity"]
    assert str(urea["value"]) == "5.60"
    assert (white["unit"], white["code"]) == ("×10⁹/L", "10*9/L")
    assert str(white["value"]) == "6.20"


def test_the_reference_range_is_that_of_the_residents_sex() -> None:
    low = result_of(GOLDENS["ordinary"], "肌酐")["referenceRange"][0]["low"]
    assert low["value"] == 41


def test_the_recognition_mark_becomes_its_scope() -> None:
    (mark,) = GOLDENS["ordinary"].of_type("DiagnosticReport")[0]["extension"]
    assert mark["url"].endswith("/StructureDefinition/recognition-mark")
    assert mark["extension"] == [{"url": "scope", "valueString": "全国"}]
    assert "extension" not in GOLDENS["ordinary"].of_type("DiagnosticReport")[1]


def test_each_way_of_writing_a_result_has_its_type() -> None:
    golden = GOLDENS["qualitative"]
    kinds = {o["code"]["text"]: next(k for k in o if k.startswith("value")) for o in golden.of_type("Observation")}
    assert kinds == {
        "尿蛋白": "valueCodeableConcept",
        "尿糖": "valueCodeableConcept",
        "尿白蛋白/肌酐": "valueQuantity",
        "乙肝表面抗原": "valueCodeableConcept",
        "梅毒螺旋体抗体滴度": "valueRatio",
        "促甲状腺激素": "valueQuantity",
        "C反应蛋白": "valueRange",
    }
    assert result_of(golden, "促甲状腺激素")["valueQuantity"]["comparator"] == "<"


def test_blood_and_urine_glucose_are_different_items() -> None:
    assert result_of(GOLDENS["qualitative"], "尿糖")["code"]["coding"][0]["code"] == "25428-4"
    assert result_of(GOLDENS["dangerous"], "葡萄糖(空腹)")["code"]["coding"][0]["code"] == "14771-0"


def test_a_critical_value_is_written_and_flagged() -> None:
    golden = GOLDENS["dangerous"]
    assert result_of(golden, "葡萄糖(空腹)")["valueQuantity"]["value"] == Decimal("28.4")
    assert sum("alarm-value" in line for line in golden.findings) == 2
    assert golden.of_type("DiagnosticReport")[0]["status"] == "final"


def test_a_glucose_of_90_mmol_is_held_and_the_report_is_partial() -> None:
    golden = GOLDENS["wrong_unit"]
    assert [o["code"]["text"] for o in golden.of_type("Observation")] == ["肌酐"]
    assert golden.of_type("DiagnosticReport")[0]["status"] == "partial"
    assert any("impossible-value" in line for line in golden.findings)


def test_a_correction_is_the_same_resources_again() -> None:
    first, second = GOLDENS["ordinary"], GOLDENS["corrected"]
    assert second.of_type("DiagnosticReport")[0]["id"] == first.of_type("DiagnosticReport")[0]["id"]
    assert second.of_type("DiagnosticReport")[0]["status"] == "corrected"
    assert {o["id"] for o in second.of_type("Observation")} < {o["id"] for o in first.of_type("Observation")}


def test_a_report_without_order_number_claims_no_order() -> None:
    golden = GOLDENS["incomplete"]
    assert golden.of_type("ServiceRequest") == []
    assert golden.of_type("DiagnosticReport")[0]["status"] == "preliminary"
    assert any("untranslated-code" in line and line.startswith("note") for line in golden.findings)
    assert result_of(golden, "新开项目")["valueString"] == "见图文报告"


def test_a_result_in_another_dimension_of_unit_does_not_pass_as_plausible() -> None:
    header = "报告编号,病人ID,姓名,申请单号,组套代码,条码号,状态,项目代码,结果,单位\n"
    row = "X2,00907,王禾,A1,S03,B9,1,1004,490,mmol/L\n"
    ((_, result),) = mapped("laboratory_report", "anyan_csv", (header + row).encode(), "390121103")
    assert [d.type for d in result.withheld] == ["Observation"]
    assert bodies(result, "DiagnosticReport")[0]["status"] == "partial"


def test_an_unknown_report_status_holds_the_record() -> None:
    assert GOLDENS["anyan_wrong"].resources == ()
    assert any(line.startswith("hold | unknown-code | 状态") for line in GOLDENS["anyan_wrong"].findings)


RUIJIAN = {"org_code": "390121001", "report_no": "R1", "upd_time": "2026-03-10 10:00:00", "patient_id": "P1", "sex": "2", "patient_name": "王禾"}
RUIJIAN |= {"order_no": "S1", "order_code": "SGN", "barcode": "B1", "sample_type": "1", "report_state": "F", "report_time": "2026-03-10 10:00:00"}


def test_flat_rows_of_a_view_become_one_report_with_panels() -> None:
    rows = [
        {**RUIJIAN, "item_code": "CREA", "result": "88", "unit": "umol/L"},
        {**RUIJIAN, "item_code": "UREA", "result": "5.60", "unit": "mmol/L"},
        {**RUIJIAN, "order_no": "S2", "order_code": "FPG", "barcode": "B2", "item_code": "GLU", "result": "6.8↑", "unit": "mmol/L"},
    ]
    ((record, result),) = mapped("laboratory_report", "ruijian_view", view_line("laboratory_report", "ruijian_view", rows))
    assert record.key == ("390121001", "R1")
    assert [len(r["result"]) for r in bodies(result, "DiagnosticReport")] == [2, 1]
    assert bodies(result, "Patient")[0]["gender"] == "female"
    assert bodies(result, "Specimen")[0]["type"]["coding"][0]["code"] == "SER"
    assert bodies(result, "Observation")[2]["interpretation"][0]["coding"][0]["code"] == "H"


@pytest.mark.parametrize("charset", ["gbk", "utf-8"])
def test_the_other_vendor_means_the_opposite_by_the_same_codes(charset: str) -> None:
    header = "报告编号,修改时间,病人ID,姓名,性别,申请单号,组套代码,组套名称,条码号,标本类型,状态,报告时间,项目代码,项目名称,结果,单位,参考值,提示\n"
    row = "X1,2026-03-10 16:00:00,00907,王禾,0,A1,S03,肾功能,B9,1,1,2026-03-10 16:00:00,1003,尿素氮,9.8,mmol/L,3.1-8.8,↑\n"
    other = row.replace("1003,尿素氮,9.8,mmol/L,3.1-8.8", "1004,尿酸,490,μmol/L,155-357")
    ((record, result),) = mapped("laboratory_report", "anyan_csv", (header + row + other).encode(charset), "390121103")
    assert record.key == ("390121103", "X1")
    assert bodies(result, "Patient")[0]["gender"] == "female", "0 is a woman here"
    assert bodies(result, "DiagnosticReport")[0]["status"] == "final", "1 is final here"
    assert bodies(result, "Specimen")[0]["type"]["coding"][0]["code"] == "BLD", "1 is whole blood here"
    assert [o["interpretation"][0]["coding"][0]["code"] for o in bodies(result, "Observation")] == ["H", "H"]
