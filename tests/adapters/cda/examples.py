"""The documents beside the golden examples of C0007 and C0002: `python -m tests.adapters.cda.examples` writes them anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gateway.builtin import MAPPINGS
from tests.adapters.cda.documents import Item, Laboratory, Order, Outpatient, Person, Shape, laboratory, outpatient

FIELD = Shape(namespace=False, structured=False, organizers=False, staff="1.4", real=False, coded_sections=False)
"""How the vendor of `sources/xingkang.toml` writes."""

WOMAN = Person("诸葛小样", "390121198507220020", "", "0", "女", "19850722", "40", "13900000002")
CHEMISTRY = (
    Item("14771-0", "空腹血糖", "5.60", "mmol/L", "1"),
    Item("14647-2", "总胆固醇", "6.31", "mmol/L", "2"),
    Item("14927-8", "甘油三酯", "1.20", "mmol/L", "1"),
    Item("14646-4", "高密度脂蛋白胆固醇", "1.05", "mmol/L", "1"),
    Item("22748-8", "低密度脂蛋白胆固醇", "4.02", "mmol/L", "2"),
    Item("14682-9", "肌酐", "88", "μmol/L", "1"),
    Item("22664-7", "尿素", "5.1", "mmol/L", "1"),
    Item("14933-6", "尿酸", "402", "μmol/L", "1"),
    Item("1742-6", "丙氨酸氨基转移酶", "23", "U/L", "1"),
    Item("1920-8", "天门冬氨酸氨基转移酶", "21", "U/L", "1"),
    Item("14631-6", "总胆红素", "12.3", "μmol/L", "1"),
    Item("2885-2", "总蛋白", "72.5", "g/L", "1"),
    Item("1751-7", "白蛋白", "44.0", "g/L", "1"),
    Item("2823-3", "钾", "4.20", "mmol/L", "1"),
    Item("2951-2", "钠", "140", "mmol/L", "1"),
    Item("2075-0", "氯", "103", "mmol/L", "1"),
    Item("1988-5", "C反应蛋白", "<0.5", "mg/L", "1"),
    Item("9318-7", "尿白蛋白/肌酐比值", ">28.4", "mg/g", "2"),
    Item("5196-1", "乙肝表面抗原", "阴性(-)", "", "1"),
)

ORDINARY = Laboratory(items=CHEMISTRY, conclusion="总胆固醇、低密度脂蛋白胆固醇升高，建议复查。", note="本报告仅对该标本负责")
DANGEROUS = replace(
    ORDINARY,
    number="C0007-20260116-000032",
    report="R202601160032",
    request="A202601160032",
    specimen="S2601160032",
    items=(
        Item("14771-0", "空腹血糖", "16.8", "mmol/L", "2"),
        Item("14749-6", "血糖", "90", "mmol/L", "2"),
        Item("2823-3", "钾", "6.9", "mmol/L", "2"),
    ),
    conclusion="危急值已电话通知临床。",
    note="",
)
INCOMPLETE = replace(
    ORDINARY,
    number="C0007-20260116-000033",
    report="R202601160033",
    request="",
    specimen="",
    visit="MZ202601160019",
    person=Person("钱某", "", "", "", "", "19660102", "60", ""),
    diagnosis=("", ""),
    items=(Item("6690-2", "", "", "", "1"), Item("718-7", "血红蛋白", "132", "g/L")),
    conclusion="",
    note="",
)
WRONG = replace(
    ORDINARY,
    number="C0007-20260116-000034",
    report="R202601160034",
    person=Person("孙某", "390121197203150019", "", "7", "未知", "19720230", "53", "139000"),
    collected="20260231081000",
    specimen_kind="胃液",
    items=(Item("LOCAL-77", "某项目", "1.2", "foo/L", "8"), Item("2823-3", "钾", "四点二", "mmol/L", "1")),
)
NO_NUMBER = replace(ORDINARY, number="C0007-20260116-000035", report="", items=CHEMISTRY[:1])
VENDOR = replace(
    ORDINARY,
    number="XK-0007-91",
    report="91",
    request="A91",
    specimen="B91",
    person=WOMAN,
    kind="血脂四项",
    kind_code="XZ",
    specimen_kind="S",
    specimen_state="0",
    items=(
        Item("X03", "总胆固醇", "6.31↑", "mmol/L", "A", "≤5.2"),
        Item("X04", "甘油三酯", "1.20", "mmol/L", "N", "0.45~1.70"),
        Item("X05", "高密度脂蛋白", "1.35", "mmol/L", "N", "男:1.16--1.42 女:1.29--1.55"),
        Item("X06", "低密度脂蛋白", "4.02", "mmol/L", "A", "-"),
    ),
    replaces="XK-0007-90",
)

VISIT = Outpatient(
    tcm=("BNG060", "眩晕病", "ZYVXA0", "肝阳上亢证"),
    four="舌红，苔薄黄，脉弦",
    basis="头晕、舌红、脉弦",
    principle="平肝潜阳",
    diagnoses=(("I10.x00", "原发性高血压"), ("E78.500", "高脂血症")),
    tests=(("心电图", "窦性心律，左室高电压"), ("血脂四项", "总胆固醇6.31mmol/L")),
    orders=(
        Order("01", "药品类", "苯磺酸氨氯地平片 5mg 口服 每日1次", "20260116090000", "20260215", "晨起服", "已执行"),
        Order("02", "检验类", "血脂四项", "20260116090000"),
    ),
)
EMERGENCY = replace(
    VISIT,
    number="C0002-20260116-000008",
    visit="MZ202601160008",
    complaint="突发胸痛2小时",
    present="2小时前突发胸骨后压榨样疼痛，伴大汗，BP 196/122mmHg。",
    allergy="",
    allergic="false",
    diagnoses=(("I21.900", "急性心肌梗死"),),
    tcm=None,
    four="",
    basis="",
    principle="",
    orders=(),
)
BARE = Outpatient(
    number="C0002-20260116-000009",
    visit="MZ202601160009",
    person=Person("李某", "", "39012100110100045", "9", "未说明", "1950", "75", ""),
    allergic="",
    allergy="",
    present="",
    past="",
    examination="",
    tests=(),
    first=("", ""),
    department=("", "全科"),
)
FAULTY = replace(
    BARE,
    number="C0002-20260116-000010",
    visit="MZ202601160010",
    person=Person("周某", "390121197203150019", "", "M", "男", "19721315", "53", "电话不详"),
    time="20260116250000",
    allergic="也许",
    first=("5", "其他"),
    diagnoses=(("高血压", "高血压"),),
)
ELSEWHERE = replace(VISIT, number="XK-0002-17", visit="17", person=WOMAN, first=("0", "复诊"), tcm=None)


def documents() -> Iterator[tuple[str, str, str, bytes]]:
    """(dataset, example, profile, bytes of the document)."""
    yield "cda_c0007", "ordinary", "wst500", laboratory(ORDINARY).encode()
    yield "cda_c0007", "dangerous", "wst500", laboratory(DANGEROUS).encode()
    yield "cda_c0007", "incomplete", "wst500", laboratory(INCOMPLETE).encode()
    yield "cda_c0007", "wrong", "wst500", laboratory(WRONG).encode()
    yield "cda_c0007", "wrong_no_number", "wst500", laboratory(NO_NUMBER).encode()
    yield "cda_c0007", "vendor_deviations", "xingkang", laboratory(VENDOR, FIELD).encode("gb18030")
    yield "cda_c0002", "ordinary", "wst500", outpatient(VISIT).encode()
    yield "cda_c0002", "dangerous", "wst500", outpatient(EMERGENCY).encode()
    yield "cda_c0002", "incomplete", "wst500", outpatient(BARE).encode()
    yield "cda_c0002", "wrong", "wst500", outpatient(FAULTY).encode()
    yield "cda_c0002", "vendor_deviations", "xingkang", outpatient(ELSEWHERE, FIELD).encode()


def write(folder: Path) -> None:
    """Writes the documents and the `.in.json` that name them."""
    for dataset, name, profile, content in documents():
        examples = folder / "clinical" / dataset / "examples"
        examples.mkdir(parents=True, exist_ok=True)
        (examples / f"{name}.xml").write_bytes(content)
        text = json.dumps({"profile": profile, "message": f"{name}.xml"}, ensure_ascii=False, indent=2) + "\n"
        (examples / f"{name}.in.json").write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    write(MAPPINGS)
