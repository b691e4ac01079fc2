"""The five forms as their senders really write them: bytes of a file or body, adapter, source profile, map."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import xlsxwriter

from gateway.config import SourceConfig
from gateway.fhir.ids import TEST_KEY, IdScheme
from gateway.mapping.catalogue import Binding, Catalogue, MapContext
from gateway.record import MapResult, Record
from tests.maps import built_in

CONTEXT = MapContext(IdScheme(TEST_KEY, "https://yifang.invalid/fhir"), portable=True)
TOWN = "390121101001"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return built_in()


def binding(catalogue: Catalogue, adapter: str, *profiles: str) -> Binding:
    source = SourceConfig(name="town", adapter=adapter, profiles=list(profiles), authority="urn:example:town", organisation=TOWN)
    return catalogue.bind(source)


def mapped(bound: Binding, content: bytes) -> list[tuple[Record, MapResult]]:
    """Records of a message with what the map made of them."""
    records = [bound.record(row) for row in bound.extract(content)]
    return [(r, bound.map(r, CONTEXT)) for r in records]


def workbook(sheets: dict[str, list[dict[str, str]]]) -> bytes:
    """An XLSX file: a printed title above the header of each sheet."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    for name, rows in sheets.items():
        sheet, headers = book.add_worksheet(name), list(dict.fromkeys(h for row in rows for h in row))
        sheet.merge_range(0, 0, 0, max(len(headers) - 1, 1), f"{name}登记表")
        sheet.write_row(1, 0, headers)
        for number, row in enumerate(rows, 2):
            sheet.write_row(number, 0, [row.get(h, "") for h in headers])
    book.close()
    return out.getvalue()


def types(result: MapResult) -> set[str]:
    """Resource types of a result."""
    return {d.type for d in result.drafts}


def body(result: MapResult, block: str) -> dict[str, Any]:
    """The body of a block's one draft."""
    (draft,) = [d for d in result.drafts if d.block == block]
    return draft.body


def test_one_workbook_carries_organisations_with_a_row_a_department_and_staff(catalogue: Catalogue) -> None:
    hospital = {"卫生机构代码": "390121000001", "机构名称": "云岭县人民医院", "机构层级": "县级", "状态": "在用", "更新时间": "2026-01-05 09:00:00"}
    file = workbook(
        {
            "机构": [
                hospital | {"科室代码": "0301", "科室名称": "心血管内科"},
                hospital | {"科室代码": "0501", "科室名称": "检验科"},
                {"卫生机构代码": "390121101101", "机构名称": "柳湾村卫生室", "机构层级": "村", "状态": "在用", "更新时间": "2026-01-05 09:00:00"},
            ],
            "人员": [{"卫生机构代码": TOWN, "工号": "T1001", "姓名": "顾青", "性别": "女", "人员类别": "医师", "在岗状态": "在岗"}],
        }
    )
    found = mapped(binding(catalogue, "sheet", "organisation/county_xlsx", "staff/county_xlsx"), file)
    assert [r.key for r, _ in found] == [("390121000001",), ("390121101101",), (TOWN, "T1001")]
    assert [d.body["name"] for d in found[0][1].drafts if d.block == "科室地点"] == ["心血管内科", "检验科"]
    assert types(found[2][1]) == {"Practitioner", "PractitionerRole"}
    assert not any(result.held for _, result in found)


def test_a_gbk_follow_up_file_gives_the_same_record_as_its_utf8_twin(catalogue: Catalogue) -> None:
    row = {
        "编号": "10100023",
        "姓名": "欧阳秋禾",
        "随访日期": "2026/3/2",
        "随访方式": "1",
        "症状": "2,9",
        "收缩压(mmHg)": "150",
        "舒张压(mmHg)": "96",
    }
    row |= {
        "药物不良反应": "0",
        "随访医生签名": "顾青",
        "最后修改时间": "2026-03-02 10:05:00",
        "药物名称1": "氨氯地平",
        "每日次数1": "1",
        "药物名称3": "缬沙坦",
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row))
    writer.writeheader()
    writer.writerow(row)
    bound = binding(catalogue, "sheet", "hypertension_followup/vendor_a_csv")
    results = [mapped(bound, out.getvalue().encode(charset))[0] for charset in ("gbk", "utf-8")]
    (record, result), (_, twin) = results
    assert record.key == ("39012110110100023", "2026-03-02")
    assert [d.body for d in result.drafts] == [d.body for d in twin.drafts]
    assert body(result, "血压")["identifier"][0]["value"] == "39012110110100023/2026-03-02"
    assert [d.body["valueCodeableConcept"]["text"] for d in result.drafts if d.block == "自觉症状"] == ["头痛头晕", "下肢水肿"]
    assert [d.body["medicationCodeableConcept"]["text"] for d in result.drafts if d.block == "服药"] == ["氨氯地平", "缬沙坦"]


def test_a_phone_posts_a_batch_and_keeps_its_decimals(catalogue: Catalogue) -> None:
    text = (
        '[{"archiveNo": "39012110310100031", "name": "柏舟", "visitDate": "2026-04-15", "visitMode": "3", "symptoms": ["1"],'
        ' "bp": {"systolic": 128, "diastolic": 78}, "weight": 55.0, "orgCode": "390121103101", "updatedAt": "2026-04-15T09:30:00+08:00",'
        ' "drugs": [{"name": "硝苯地平", "timesPerDay": 1, "dose": 30, "unit": "mg"}]}]'
    )
    ((record, result),) = mapped(binding(catalogue, "restjson", "hypertension_followup/phone_app"), text.encode())
    assert record.stamp == "2026-04-15T01:30:00.000000Z"
    assert str(body(result, "体重测量")["valueQuantity"]["value"]) == "55.0"
    assert body(result, "服药")["dosage"][0]["doseAndRate"][0]["doseQuantity"]["code"] == "mg"


def test_an_archive_sheet_with_diseases_in_columns_of_their_own(catalogue: Catalogue) -> None:
    row = {
        "编号": "10100023",
        "姓名": "林溪",
        "性别": "0",
        "出生日期": "1956-03-12",
        "药物过敏史": "2,3",
        "疾病1": "2",
        "疾病2": "3",
        "疾病2确诊时间": "2019",
    }
    row |= {"家族史(父亲)": "1、3", "联系人姓名": "林大川", "最后修改时间": "2026-03-02 09:15:00"}
    ((record, result),) = mapped(binding(catalogue, "sheet", "resident_profile/vendor_a_xlsx"), workbook({"档案": [row]}))
    assert record.fields["建档机构代码"] == TOWN
    assert [d.body["code"]["text"] for d in result.drafts if d.block == "既往病"] == ["高血压", "糖尿病"]
    assert [d.body["code"]["text"] for d in result.drafts if d.block == "药物过敏"] == ["青霉素", "磺胺"]
    assert {"Patient", "RelatedPerson", "FamilyMemberHistory"} <= types(result)


def test_a_referral_posted_by_the_platform(catalogue: Catalogue) -> None:
    text = {
        "referralNo": "ZZ1",
        "from": {"orgCode": TOWN, "doctor": "顾青"},
        "patient": {"name": "林溪", "sex": "female", "archiveNo": "39012110110100023"},
        "to": {"orgCode": "390121000001", "department": "心血管内科"},
        "referredAt": "2026-06-01T10:30:00+08:00",
        "impression": "高血压3级",
        "diagnoses": [{"code": "I10.x00", "name": "高血压病"}],
        "consent": {"agreed": True},
        "state": "PENDING",
    }
    ((record, result),) = mapped(binding(catalogue, "restjson", "referral_out/referral_platform_json"), json.dumps(text).encode())
    assert record.key == (TOWN, "ZZ1")
    assert body(result, "知情同意书")["status"] == "active"
    assert body(result, "转诊任务")["status"] == "requested"


@pytest.mark.parametrize("profile", ["resident_profile/vendor_b_view", "referral_out/township_view"])
def test_the_views_with_their_child_views_are_understood_by_the_adapter(catalogue: Catalogue, profile: str) -> None:
    assert binding(catalogue, "sqlview", profile).extract(b"") is not None


@pytest.mark.parametrize("dataset", ["resident_profile", "hypertension_followup", "organisation", "staff", "referral_out"])
def test_form_map_and_profiles_check(catalogue: Catalogue, dataset: str) -> None:
    assert [str(f) for f in catalogue.entry(dataset).faults] == []


@pytest.mark.parametrize("dataset", ["resident_profile", "hypertension_followup", "organisation", "staff", "referral_out"])
def test_every_field_is_used_or_ignored_with_a_reason(catalogue: Catalogue, dataset: str) -> None:
    entry = catalogue.entry(dataset)
    assert entry.plan is not None
    used = {path for path, _ in entry.plan.used}
    for field in entry.dataset.all_fields():
        assert (field.path in used) != (field.path in entry.plan.ignored), field.path


@pytest.mark.parametrize("dataset", ["resident_profile", "hypertension_followup", "organisation", "staff", "referral_out"])
def test_every_national_code_of_a_form_is_in_the_tables_it_goes_through(catalogue: Catalogue, dataset: str) -> None:
    entry = catalogue.entry(dataset)
    assert entry.plan is not None
    for name, uses in entry.plan.tables.items():
        for use in uses:
            field = getattr(use.source, "field", None)
            if field is not None and field.codes is not None:
                missing = {c.code for c in field.codes} - set(catalogue.terms.tables[name].rows)
                assert not missing, f"{field.path} | table({name!r}): {missing}"
