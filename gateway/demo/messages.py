"""HL7 v2 messages as the county's systems write them: ORU^R01 of three laboratories, ADT of two hospitals, quality control of an analyser.

Every writer takes a fact and gives the message as text; `encode` gives the bytes of one sender. Fields are told by their HL7 names in
docs/adapters/hl7v2.md and the source profiles hl7v2_oru/{standard,lis_gbk,analyser_m} and hl7v2_adt/standard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from gateway.demo.life import Fact
from gateway.record import Fields

__all__ = ["admission", "analyser", "compact", "encode", "gbk_laboratory", "quality_control", "standard_laboratory"]

_REPORT = {"1": "I", "2": "P", "3": "F", "4": "C", "8": "X"}
_RESULT = {"1": "P", "2": "F", "3": "C", "8": "X"}
_SEX = {"1": "M", "2": "F"}


def compact(text: str) -> str:
    """`2026-01-05 09:30:00` as HL7 writes it: 20260105093000."""
    return "".join(c for c in text if c.isdigit())


def _segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment with these fields by number, the rest empty."""
    return "|".join([name, *(fields.get(n, "") for n in range(1, max(fields) + 1))])


def _head(application: str, facility: str, stamp: str, kind: str, control: str, version: str, charset: str, mode: str = "") -> str:
    """MSH; its first field is the separator, so numbers are one less than positions."""
    fields = {1: "^~\\&", 2: application, 3: facility, 6: stamp, 8: kind, 9: control, 10: "P", 11: version, 15: mode, 17: charset}
    return _segment("MSH", fields)


def _name(fields: Fields) -> str:
    """Family and given name; compound surnames of the demo are known."""
    name = str(fields["姓名"])
    cut = 2 if name[:2] in ("欧阳", "上官", "夏侯", "令狐") else 1
    return f"{name[:cut]}^{name[cut:]}^^^^^L"


def _person(fields: Fields, local: str, assigner: str) -> str:
    """PID with the system's own number and the card."""
    numbers = [f"{local}^^^{assigner}^PI"] if local else []
    numbers += [f"{fields['身份证号']}^^^^NI"] if fields.get("身份证号") else []
    return _segment(
        "PID",
        {1: "1", 3: "~".join(numbers), 5: _name(fields), 7: compact(str(fields["出生日期"])), 8: _SEX.get(str(fields["性别"]), "U")},
    )


def standard_laboratory(fact: Fact, control: str) -> str:
    """HL7 2.5.1 with PV1, ORC, SPM: profile hl7v2_oru/standard. Stamp MSH-7."""
    fields = fact.fields
    lines = [
        _head("LIS", "H1", compact(str(fields["更新时间"])), "ORU^R01^ORU_R01", control, "2.5.1", "UNICODE UTF-8"),
        _person(fields, str(fields.get("患者号", "")), "LIS"),
    ]
    for order in fields["申请"]:
        lines.append(f"ORC|RE|{order['申请单号']}|{fields['报告单号']}||CM")
        panel = f"{order['申请项目代码']}^{order['申请项目名称']}^L"
        times = {6: compact(order["申请时间"]), 7: compact(order["采集时间"]), 14: compact(order["接收时间"]), 22: compact(order["报告时间"])}
        doctor = f"{order['申请医师工号']}^{order['申请医师姓名']}"
        own = {1: "1", 2: order["申请单号"], 3: fields["报告单号"], 4: panel, 16: doctor, 24: "LAB", 25: _REPORT[order["报告状态"]]}
        lines.append(_segment("OBR", times | own))
        lines += [_observation(n, r, f"{r['项目代码']}^{r['项目名称']}^L") for n, r in enumerate(order["结果"], 1)]
        lines.append(
            _segment("SPM", {1: "1", 2: order["标本条码"], 4: "SER^血清^HL70487", 17: compact(order["采集时间"]), 18: compact(order["接收时间"])})
        )
    return "\r".join(lines) + "\r"


def gbk_laboratory(fact: Fact, control: str) -> str:
    """HL7 2.4 as profile hl7v2_oru/lis_gbk has it: no ORC, bar code in OBR-18, stamp OBR-22, MSH-18 says ASCII."""
    fields = fact.fields
    stamp = compact(str(fields["更新时间"]))
    lines = [_head("ZYLIS", "H2", stamp, "ORU^R01", control, "2.4", "ASCII"), _person(fields, str(fields.get("患者号", "")), "ZYLIS")]
    for order in fields["申请"]:
        panel = f"{order['申请项目代码']}^{order['申请项目名称']}^L"
        own = {1: "1", 2: order["申请单号"], 3: fields["报告单号"], 4: panel, 18: order["标本条码"], 25: _REPORT[order["报告状态"]]}
        own |= {7: compact(order["采集时间"]), 14: compact(order["接收时间"]), 15: "SER", 22: stamp}
        lines.append(_segment("OBR", own))
        lines += [_observation(n, r, f"{r['项目代码']}^{r['项目名称']}^L") for n, r in enumerate(order["结果"], 1)]
    return "\r".join(lines) + "\r"


def analyser(fact: Fact, control: str) -> str:
    """HL7 2.3.1 of an instrument, profile hl7v2_oru/analyser_m: card in PID-2 (as the laboratory tells the instrument), name of the item
    in OBX-4, blanks around units."""
    fields = fact.fields
    person = {
        1: "1",
        2: f"{fields['身份证号']}^^^^NI",
        5: str(fields["姓名"]),
        7: compact(str(fields["出生日期"])) + "000000",
        8: _SEX[fields["性别"]],
    }
    stamp = compact(str(fields["更新时间"]))
    lines = [_head("ANALYSER", "M-200", stamp, "ORU^R01", control, "2.3.1", "ASCII", "0"), _segment("PID", person | {11: "内科"})]
    for order in fields["申请"]:
        sample = str(fields["报告单号"]).partition("-")[2]
        own = {
            1: "1",
            2: sample,
            3: sample,
            4: f"{order['申请项目代码']}^{order['申请项目名称']}",
            5: "N",
            7: compact(order["采集时间"]),
            15: "Serum",
        }
        lines.append(_segment("OBR", own | {14: compact(order["接收时间"])}))
        for n, r in enumerate(order["结果"], 1):
            values = {1: str(n), 2: "NM", 3: r["项目代码"], 4: r["项目名称"], 5: r["结果值"], 6: f" {r['单位']} ", 7: r["参考范围"].replace("~", "-")}
            lines.append(_segment("OBX", values | {11: "F"}))
    return "\r".join(lines) + "\r"


def _observation(number: int, result: Fields, code: str) -> str:
    state = _RESULT[result["结果状态"]]
    kind = "NM" if str(result["结果值"]).replace(".", "", 1).isdigit() else "ST"
    unit = result["单位"] if result["结果值"] else ""
    return _segment("OBX", {1: str(number), 2: kind, 3: code, 5: result["结果值"], 6: unit, 7: result["参考范围"], 11: state})


def quality_control(at: datetime, level: str, value: str, control: str) -> str:
    """A control sample on the analyser's wire (MSH-16 = 2): of nobody."""
    moment = f"{at:%Y%m%d%H%M%S}"
    head = _head("ANALYSER", "M-200", moment, "ORU^R01", control, "2.3.1", "ASCII", "2")
    order = _segment("OBR", {1: "1", 2: f"QC-{level}", 3: "201", 4: "M^BS-200", 5: "N", 7: moment})
    return "\r".join([head, order, f"OBX|1|NM|2|GLU|{value}| mmol/L |5.00-5.80|N|||F"]) + "\r"


def admission(fact: Fact, control: str, event: str) -> str:
    """ADT^A04, A08 or A03 of an outpatient visit (dataset outpatient_visit as facts): profile hl7v2_adt/standard, stamp MSH-7."""
    fields = fact.fields
    lines = [
        _head("HIS", "H1", f"{fact.stamp:%Y%m%d%H%M%S}", f"ADT^{event}", control, "2.4", "UNICODE UTF-8"),
        _person(fields, str(fields.get("患者号", "")), "HIS"),
        _segment(
            "PV1",
            {
                1: "1",
                2: "O",
                3: str(fields.get("科室代码", "")),
                7: f"{fields['医师工号']}^{fields['医师姓名']}",
                19: fields["就诊号"],
                44: compact(fields["就诊时间"]),
            },
        ),
    ]
    return "\r".join(lines) + "\r"


def encode(writer: Callable[[Fact, str], str], fact: Fact, control: str) -> bytes:
    """The message in the sender's charset: GBK for the two that say ASCII in MSH-18, else UTF-8."""
    return writer(fact, control).encode("gb18030" if writer in (gbk_laboratory, analyser) else "utf-8")
