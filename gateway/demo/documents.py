"""WS/T 500 documents as two hospitals write them: C0007 检验报告 and C0002 门(急)诊病历.

`Style.TEMPLATE` follows the standard; the other deviates as profile cda_c0007/xingkang has it: no namespace, no structuredBody, items flat,
value and unit as attributes of an ST, sections known by their Chinese names only, in GBK.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from gateway.demo.life import Fact
from gateway.demo.messages import compact
from gateway.record import Fields

__all__ = ["DEVIANT", "TEMPLATE", "Style", "laboratory_document", "visit_document"]

OID = "2.16.156.10011."
_CATALOGUE = f'codeSystem="{OID}2.2.1" codeSystemName="卫生信息数据元目录"'


@dataclass(frozen=True, slots=True)
class Style:
    """How a sender writes documents. sexes: national code -> the sender's."""

    standard: bool
    charset: str
    serum: str
    state: str
    sexes: tuple[str, str]


TEMPLATE = Style(True, "UTF-8", "血清", "合格", ("1", "2"))
DEVIANT = Style(False, "GB18030", "S", "0", ("1", "0"))


def laboratory_document(fact: Fact, style: Style) -> bytes:
    """C0007 of a laboratory report with one order."""
    fields, order = fact.fields, fact.fields["申请"][0]
    made = compact(str(fields["更新时间"]))
    doctor = (str(order["检验医师工号"]), str(order["检验医师姓名"]))
    ids = _id("33", fields["报告单号"]) + _id("24", order["申请单号"]) + _id("14", order["标本条码"])
    header = (
        _opening("C0007", "27", "检验报告", f"C0007-{fields['报告单号']}-{made}", made)
        + _person(fields, ids, style)
        + _signer("author", compact(order["报告时间"]), doctor)
        + _custodian(fields)
        + _signer("legalAuthenticator", compact(order["报告时间"]), doctor)
        + _replaced(str(fields.get("被替代文档", "")))
    )
    named = f'<value xsi:type="CD" code="{order["申请项目代码"]}" displayName="{order["申请项目名称"]}"/>'
    kind = named if order["申请项目代码"] else _text(order["申请项目名称"])
    entries = _entry(_observation("DE04.30.018.00", "检验类别", kind)) + "".join(_item(r, order, style) for r in order["结果"])
    return _document(header, [_section("30954-2", "实验室检查", entries, style)], style)


def visit_document(fact: Fact, style: Style) -> bytes:
    """C0002 of an outpatient visit: complaint, history, examination, and the disease of Chinese medicine where there is one."""
    fields = fact.fields
    made, doctor = compact(str(fields["更新时间"])), (str(fields["医师工号"]), str(fields["医师姓名"]))
    provider = f"<providerOrganization>{_id('26', fields['科室代码'])}<name>{fields['科室名称']}</name></providerOrganization>"
    header = (
        _opening("C0002", "22", "门(急)诊病历", f"C0002-{fields['就诊号']}-{made}", made)
        + _person(fields, _id("11", fields["就诊号"]), style, provider)
        + _signer("author", compact(fields["就诊时间"]), doctor)
        + _custodian(fields)
        + _signer("legalAuthenticator", made, doctor)
        + _replaced("")
    )
    told = (
        ("10154-3", "主诉", "DE04.01.119.00"),
        ("10164-2", "现病史", "DE02.10.071.00"),
        ("11348-0", "既往史", "DE02.10.099.00"),
        ("29545-1", "体格检查", "DE04.10.258.00"),
    )
    sections = [
        _section(loinc, name, _entry(_observation(element, name, _text(fields[name]))), style) for loinc, name, element in told if name in fields
    ]
    if "中医病名代码" in fields:
        code = f'<value xsi:type="CD" code="{fields["中医病名代码"]}" codeSystem="{OID}2.3.3.14"/>'
        entries = _tcm("DE05.10.130.00", "中医病名代码", code) + _tcm("DE05.10.172.00", "中医病名名称", _text(fields["中医病名名称"]))
        sections.append(_section("29548-5", "诊断记录", entries, style))
    return _document(header, sections, style)


def _document(header: str, sections: list[str], style: Style) -> bytes:
    parts = "".join(f"<component>{section}</component>\n" for section in sections)
    body = f"<component><structuredBody>\n{parts}</structuredBody></component>" if style.standard else parts
    space = 'xmlns="urn:hl7-org:v3" ' if style.standard else ""
    head = f'<?xml version="1.0" encoding="{style.charset}"?>\n<ClinicalDocument {space}xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
    return f"{head}{header}{body}\n</ClinicalDocument>\n".encode(style.charset.lower())


def _opening(code: str, template: str, title: str, number: str, made: str) -> str:
    return (
        f'<realmCode code="CN"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_MT000040"/><templateId root="{OID}2.1.1.{template}"/>'
        f'<id root="{OID}1.1" extension="{number}"/><code code="{code}" codeSystem="{OID}2.4"/><title>{title}</title>'
        f'<effectiveTime value="{made}"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="zh-CN"/>\n'
    )


def _person(fields: Fields, ids: str, style: Style, after: str = "") -> str:
    sex = style.sexes[0] if fields["性别"] == "1" else style.sexes[1]
    own = (_id("3", fields["身份证号"]) if fields.get("身份证号") else "") + (_id("2", fields["健康档案编号"]) if fields.get("健康档案编号") else "")
    return (
        f'<recordTarget><patientRole>{ids}<patient>{own}<name>{escape(str(fields["姓名"]))}</name><administrativeGenderCode code="{sex}" '
        f'codeSystem="{OID}2.3.3.4"/><birthTime value="{compact(str(fields["出生日期"]))}"/></patient>{after}</patientRole></recordTarget>\n'
    )


def _signer(tag: str, time: str, who: tuple[str, str]) -> str:
    """An author or signer: `assignedAuthor` in the first, `assignedEntity` in the others."""
    inner = "assignedAuthor" if tag == "author" else "assignedEntity"
    person = f"<assignedPerson><name>{escape(who[1])}</name></assignedPerson>"
    return f'<{tag}><time value="{time}"/><{inner}><id root="{OID}1.4" extension={quoteattr(who[0])}/>{person}</{inner}></{tag}>\n'


def _custodian(fields: Fields) -> str:
    place = f"{_id('5', fields['机构代码'])}<name>{escape(str(fields['机构名称']))}</name>"
    inner = f"<representedCustodianOrganization>{place}</representedCustodianOrganization>"
    return f"<custodian><assignedCustodian>{inner}</assignedCustodian></custodian>\n"


def _replaced(number: str) -> str:
    inner = f'<id root="{OID}1.1" extension="{number}"/>' if number else "<id/>"
    return f'<relatedDocument typeCode="RPLC"><parentDocument>{inner}</parentDocument></relatedDocument>\n'


def _section(loinc: str, title: str, entries: str, style: Style) -> str:
    called = f'code="{loinc}" codeSystem="2.16.840.1.113883.6.1" displayName="{title}"' if style.standard else f'displayName="{title}"'
    return f"<section><code {called}/><text/>\n{entries}</section>"


def _item(result: Fields, order: Fields, style: Style) -> str:
    times = f'<effectiveTime><low value="{compact(order["采集时间"])}"/><high value="{compact(order["接收时间"])}"/></effectiveTime>'
    specimen = _related(_observation("DE04.50.134.00", "标本类别", times + _text(style.serum)))
    specimen += _related(_observation("DE04.50.135.00", "标本状态", _text(style.state)))
    tested = f'<effectiveTime value="{compact(order["报告时间"])}"/>'
    unit, value = quoteattr(result["单位"]), quoteattr(result["结果值"])
    if style.standard:
        number = f'<value xsi:type="REAL" value={value}/>' + _related(_observation("DE04.30.016.00", "计量单位", _text(result["单位"])))
    else:
        allowed = f"<referenceRange><observationRange><text>{escape(result['参考范围'])}</text></observationRange></referenceRange>"
        number = f'<value xsi:type="ST" value={value} unit={unit}/>{allowed}'
    parts = (
        _observation("DE04.30.019.00", "检验项目代码", tested + _text(result["项目代码"]) + specimen),
        _observation("DE04.30.020.00", "检验项目名称", _text(result["项目名称"])),
        _observation("DE04.30.015.00", "检验定量结果", number),
    )
    if not style.standard:
        return "".join(_entry(part) for part in parts)
    return _entry(f"<organizer>{''.join(f'<component>{part}</component>' for part in parts)}</organizer>")


def _tcm(element: str, role: str, value: str) -> str:
    qualifier = f'<qualifier><name displayName="{role}"/></qualifier>'
    return _entry(f'<observation><code code="{element}" {_CATALOGUE} displayName="{role}">{qualifier}</code>{value}</observation>')


def _observation(element: str, name: str, inner: str) -> str:
    return f'<observation classCode="OBS" moodCode="EVN"><code code="{element}" {_CATALOGUE} displayName="{name}"/>{inner}</observation>'


def _related(inner: str) -> str:
    return f'<entryRelationship typeCode="COMP">{inner}</entryRelationship>'


def _entry(inner: str) -> str:
    return f"<entry>{inner}</entry>\n"


def _text(value: object) -> str:
    return f'<value xsi:type="ST">{escape(str(value))}</value>'


def _id(tail: str, value: object) -> str:
    return f'<id root="{OID}1.{tail}" extension={quoteattr(str(value))}/>'
