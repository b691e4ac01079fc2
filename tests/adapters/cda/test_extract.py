"""WS/T 500 documents are read alike in every shape that senders give them."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO

import pytest

from adapters.cda import adapter
from gateway.adapter import GroupLayout
from gateway.record import Fields, Row
from tests.adapters.cda.documents import Item, Laboratory, Order, Outpatient, Person, Shape, laboratory, outpatient
from tests.adapters.cda.layouts import layout, small

EXTRACT = adapter.compile([layout("cda_c0007"), layout("cda_c0002")])
ITEMS = (
    Item("GLU", "葡萄糖", "5.60", "mmol/L", "1"),
    Item("HBSAG", "乙肝表面抗原", "", "", "2"),
    Item("CREA", "肌酐", "88", "umol/L", "1"),
)
SHAPES = [
    Shape(),
    Shape(namespace=False),
    Shape(structured=False),
    Shape(organizers=False),
    Shape(staff="1.4"),
    Shape(real=False),
    Shape(coded_sections=False),
    Shape(namespace=False, structured=False, organizers=False, staff="1.4", real=False, coded_sections=False),
]


def one(text: str | bytes) -> Row:
    """The only row of a document."""
    (row,) = EXTRACT(text if isinstance(text, bytes) else text.encode())
    return row


def told(fields: Fields) -> Fields:
    """The fields without those that describe the bytes."""
    return {name: value for name, value in fields.items() if name not in ("原文", "原文字节数", "原文摘要")}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_laboratory_report_gives_the_same_fields_in_every_shape(shape: Shape) -> None:
    report = Laboratory(items=ITEMS, conclusion="血糖正常", note="标本轻度溶血")
    row = one(laboratory(report, shape))
    assert told(row.fields) == told(one(laboratory(report)).fields)
    assert row.findings == ()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_outpatient_record_gives_the_same_fields_in_every_shape(shape: Shape) -> None:
    visit = Outpatient(
        tcm=("BNG", "头痛病", "ZBE", "肝阳上亢证"),
        tests=(("心电图", "左室高电压"), ("尿常规", "正常")),
        diagnoses=(("I10.x00", "高血压"), ("E11.9", "糖尿病")),
    )
    assert told(one(outpatient(visit, shape)).fields) == told(one(outpatient(visit)).fields)


def test_fields_of_a_laboratory_report() -> None:
    row = one(laboratory(Laboratory(items=ITEMS)))
    assert (row.dataset, row.position) == ("cda_c0007", "C0007 检验报告")
    fields = row.fields
    assert fields["报告单号"] == "R202601160031"
    assert fields["机构代码"] == "123900000000000018"
    assert fields["采样时间"] == "20260116081000"
    assert fields["病区名称"] == "门诊"  # at the fourth storey of the asOrganizationPartOf tower
    assert [person["角色"] for person in fields["签名人"]] == ["检验技师", "检验医师"]
    assert fields["诊断"] == [{"诊断编码": "I10.x00", "诊断名称": "原发性高血压", "诊断日期": "20260116", "诊断机构": "示例县人民医院"}]
    assert [(r["项目代码"], r.get("定量结果"), r.get("单位"), r["结果代码"]) for r in fields["结果"]] == [
        ("GLU", "5.60", "mmol/L", "1"),
        ("HBSAG", None, None, "2"),
        ("CREA", "88", "umol/L", "1"),
    ]


def test_fields_of_an_outpatient_record() -> None:
    order = Order("01", "药品类", "苯磺酸氨氯地平片5mg", "20260116084500", "20260215", "饭后", "已执行")
    visit = Outpatient(tcm=("BNG", "头痛病", "ZBE", "肝阳上亢证"), orders=(order,), basis="舌红苔黄", principle="平肝潜阳")
    fields = one(outpatient(visit)).fields
    assert (fields["科室代码"], fields["科室名称"]) == ("0301", "心血管内科门诊")
    assert (fields["过敏史标志"], fields["过敏史"]) == ("true", "青霉素(皮疹)")
    assert (fields["中医病名代码"], fields["中医证候代码"]) == ("BNG", "ZBE")  # one data element, told apart by its qualifier
    assert (fields["中医病名名称"], fields["中医证候名称"]) == ("头痛病", "肝阳上亢证")
    (found,) = fields["医嘱"]
    assert (found["项目内容"], found["项目类型"], found["计划结束时间"]) == ("苯磺酸氨氯地平片5mg", "01", "20260215")
    assert (found["开立人工号"], found["审核人"], found["备注"], found["执行状态"]) == ("1023", "冯审方", "饭后", "已执行")
    assert "取消人" not in found


def test_absent_and_blank_places_are_absent_fields() -> None:
    person = Person(name="钱某", id_card="", phone="", sex="")
    fields = one(laboratory(Laboratory(person=person, request="", visit="", diagnosis=("", "")))).fields
    assert not {"身份证号", "联系电话", "性别", "申请单号", "门急诊号", "诊断", "结果", "报告结果"} & fields.keys()


def test_an_organizer_is_one_row_whatever_the_order_of_its_parts() -> None:
    text = laboratory(Laboratory(items=ITEMS[:2]))
    start, end = text.index("<organizer"), text.index("</organizer>")
    first = text[start:end]
    head, *parts = first.split("<component>")
    turned = head + "".join(f"<component>{part}" for part in reversed(parts))
    assert one(text.replace(first, turned)).fields["结果"] == one(text).fields["结果"]


def test_two_specimen_kinds_in_one_report_are_remarked_and_the_first_stands() -> None:
    text = laboratory(Laboratory(items=ITEMS))
    at = text.rindex("血清")
    row = one(text[:at] + "全血" + text[at + 2 :])
    assert row.fields["标本类别"] == "血清"
    (finding,) = row.findings
    assert (finding.code, finding.severity, finding.source) == ("repeated-value", "note", "DE04.50.134.00")
    assert "血" not in finding.message


def test_the_whole_document_is_the_unit_and_the_original() -> None:
    content = laboratory(Laboratory()).encode()
    row = one(content)
    assert row.unit == content
    import base64

    assert base64.b64decode(row.fields["原文"]) == content
    assert row.fields["原文字节数"] == str(len(content))
    assert one(content).unit == next(EXTRACT(BytesIO(content))).unit


def test_the_template_id_names_a_document_without_code() -> None:
    text = laboratory(Laboratory()).replace('code="C0007"', 'code=""')
    assert one(text).fields["文档类型"] == "C0007"


def test_xpath_is_the_fallback_with_and_without_namespace() -> None:
    extract = adapter.compile(
        [small({"项目数": "xpath:count(//organizer)", "标题": "xpath:string(/ClinicalDocument/title)", "首个": "xpath://section/code"})]
    )
    for shape in (Shape(), Shape(namespace=False)):
        (row,) = extract(laboratory(Laboratory(items=ITEMS), shape).encode())
        assert row.fields == {"项目数": "3", "标题": "检验报告"}


def test_repeating_fields_keep_every_value_and_split_cells_are_taken_apart() -> None:
    fields = {"代码": "DE04.30.019.00", "备注": "DE06.00.179.00"}
    extract = adapter.compile([small(fields, repeats=frozenset({"代码"}), split={"备注": "、"})])
    (row,) = extract(laboratory(Laboratory(items=ITEMS, note="溶血、脂血")).encode())
    assert row.fields == {"代码": ["GLU", "HBSAG", "CREA"], "备注": ["溶血", "脂血"]}


def test_fixed_repetitions_are_rows() -> None:
    group = GroupLayout(
        rows=({"姓名": "author/assignedAuthor/assignedPerson/name"}, {"姓名": "legalAuthenticator//name"}, {"姓名": "informant//name"})
    )
    (row,) = adapter.compile([small({}, {"人": group})])(laboratory(Laboratory()).encode())
    assert row.fields == {"人": [{"姓名": "周报告"}, {"姓名": "吴审核"}]}


def test_a_narrative_stands_in_for_a_missing_entry() -> None:
    text = outpatient(Outpatient(complaint=""))
    code = text.index('code="10154-3"')
    at = text.index("<text/>", code)
    told_in_text = text[:at] + "<text><paragraph>咳嗽 <br/> 三天</paragraph></text>" + text[at + 7 :]
    assert one(told_in_text).fields["主诉"] == "咳嗽 三天"


def test_a_patient_without_name_element_is_no_crash() -> None:
    text = laboratory(Laboratory(person=replace(Person(), name="")))
    assert "姓名" not in one(text).fields


def test_a_document_is_read_alike_however_it_declares_the_namespace() -> None:
    usual = laboratory(Laboratory(items=ITEMS))
    declared = '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    assert usual.count(declared) == 1
    prefixed = re.sub(r"<(/?)(?=[A-Za-z])", r"<\1v3:", usual).replace(' xmlns="', ' xmlns:v3="')
    others = (
        usual.replace(declared, "<ClinicalDocument xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"\n\txmlns = 'urn:hl7-org:v3'"),
        usual.replace("<title>", '<title xmlns="urn:hl7-org:v3">'),
        usual.replace("<title>", "<!-- urn:hl7-org:v3 --><title>"),
        usual.replace(declared, "<!-- <ClinicalDocument> -->" + declared),
        prefixed,
    )
    for text in others:
        assert text != usual
        assert told(one(text).fields) == told(one(usual).fields)


def test_text_that_mentions_the_namespace_stays_as_it_is() -> None:
    extract = adapter.compile([small({"标题": "title"})])
    document = '<ClinicalDocument><code code="C0007"/><title>请写 xmlns="urn:hl7-org:v3"</title></ClinicalDocument>'
    (row,) = extract(document.encode())
    assert row.fields == {"标题": '请写 xmlns="urn:hl7-org:v3"'}


def test_an_element_of_another_namespace_is_not_taken_for_one_of_the_document() -> None:
    extract = adapter.compile([small({"标题": "title"})])
    for declared in ("", ' xmlns="urn:hl7-org:v3"'):
        document = f'<ClinicalDocument{declared}><code code="C0007"/><title xmlns="urn:other">甲</title><title>乙</title></ClinicalDocument>'
        (row,) = extract(document.encode())
        assert row.fields == {"标题": "乙"}
