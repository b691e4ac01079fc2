"""Synthetic WS/T 500 documents in the shapes seen in the field. No person in them exists: area codes 39xxxx are unassigned.

`laboratory(...)` and `outpatient(...)` write one document each; `Shape` says how the sender deviates from the template.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from tests.adapters.cda.facts import TEMPLATE, Item, Laboratory, Order, Outpatient, Person, Shape

__all__ = ["Item", "Laboratory", "Order", "Outpatient", "Person", "Shape", "laboratory", "outpatient"]

OID = "2.16.156.10011."
CATALOGUE = 'codeSystem="2.16.156.10011.2.2.1" codeSystemName="卫生信息数据元目录"'


def laboratory(report: Laboratory, shape: Shape = TEMPLATE) -> str:
    """A C0007 检验报告 as text, with an XML declaration that says UTF-8."""
    ids = {"11": report.visit, "33": report.report, "24": report.request, "14": report.specimen}
    header = "".join(
        (
            _opening("C0007", 27, "检验报告", report.number, report.made),
            _patient(
                report.person,
                ids,
                extra='<patientType><patienttypeCode code="1" codeSystem="2.16.156.10011.2.3.1.271" displayName="门诊"/></patientType>',
            ),
            _author(report.reported, ("2045", "周报告"), shape),
            _custodian(report.organisation),
            _signed("legalAuthenticator", "审核医师", ("2001", "吴审核"), report.reported),
            _signed("authenticator", "检验技师", ("2077", "郑技师"), report.tested),
            _signed("authenticator", "检验医师", ("2045", "周报告"), report.reported),
            f'<participant typeCode="PRF"><associatedEntity classCode="ASSIGNED"><scopingOrganization>{_id("26", "0301")}<name>心血管内科门诊</name>'
            f"<asOrganizationPartOf><wholeOrganization>{_organisation(report.organisation)}</wholeOrganization></asOrganizationPartOf>"
            "</scopingOrganization></associatedEntity></participant>",
            _replaced(report.replaces),
            _ward(report.organisation),
        )
    )
    body = (
        _section("29548-5", "Diagnosis", "诊断记录", _diagnosis(report), shape),
        _section("30954-2", "STUDIES SUMMARY", "实验室检查", _studies(report, shape), shape, "检" * (report.pictures // 3)),
        _section("", "检验报告", "检验报告", _closing(report), shape),
    )
    return _document(header, body, shape)


def outpatient(visit: Outpatient, shape: Shape = TEMPLATE) -> str:
    """A C0002 门(急)诊病历 as text."""
    provider = (
        f"<providerOrganization>{_id('26', visit.department[0])}<name>{escape(visit.department[1])}</name><asOrganizationPartOf><wholeOrganization>"
        f"{_organisation(visit.organisation)}</wholeOrganization></asOrganizationPartOf></providerOrganization>"
    )
    header = "".join(
        (
            _opening("C0002", 22, "门(急)诊病历", visit.number, visit.made),
            _patient(visit.person, {"11": visit.visit}, after=provider),
            _author(visit.time, visit.doctor, shape),
            _custodian(visit.organisation),
            _signed("legalAuthenticator", "责任医生", visit.doctor, visit.made),
            _replaced(""),
        )
    )
    tests = "".join(_text("DE04.30.010.00", "辅助检查项目", item) + _text("DE04.30.009.00", "辅助检查结果", result) for item, result in visit.tests)
    inner = (
        f'<entryRelationship typeCode="COMP">{_observation("DE05.01.022.00", "过敏史", _st(visit.allergy))}</entryRelationship>'
        if visit.allergy
        else ""
    )
    allergy = (
        _entry(_observation("DE02.10.023.00", "过敏史标志", f'<value xsi:type="BL" value="{visit.allergic}"/>{inner}')) if visit.allergic else ""
    )
    body = (
        _section("48765-2", "Allergies, adverse reactions, alerts", "过敏史", allergy, shape),
        _section("10154-3", "CHIEF COMPLAINT", "主诉", _text("DE04.01.119.00", "主诉", visit.complaint), shape),
        _section("10164-2", "HISTORY OF PRESENT ILLNESS", "现病史", _text("DE02.10.071.00", "现病史", visit.present), shape),
        _section("11348-0", "HISTORY OF PAST ILLNESS", "既往史", _text("DE02.10.099.00", "既往史", visit.past), shape),
        _section("29545-1", "PHYSICAL EXAMINATION", "体格检查", _text("DE04.10.258.00", "体格检查", visit.examination), shape),
        _section("30954-2", "STUDIES SUMMARY", "实验室检验", tests, shape),
        _section("29548-5", "Diagnosis", "诊断记录", _diagnoses(visit), shape),
        _section(
            "18776-5",
            "TREATMENT PLAN",
            "治疗计划",
            _text("DE05.10.132.00", "辨证依据", visit.basis) + _text("DE06.00.300.00", "治则治法", visit.principle),
            shape,
        ),
        _section("46209-3", "Provider Orders", "医嘱", "".join(_order(order, visit.doctor) for order in visit.orders), shape),
    )
    return _document(header, body, shape)


def _document(header: str, sections: Sequence[str], shape: Shape) -> str:
    xmlns = 'xmlns="urn:hl7-org:v3" ' if shape.namespace else ""
    components = "".join(f"<component>{section}</component>\n" for section in sections)
    body = f"<component><structuredBody>\n{components}</structuredBody></component>" if shape.structured else components
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument {xmlns}xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
    return f"{head}{header}\n{body}\n</ClinicalDocument>\n"


def _opening(code: str, template: int, title: str, number: str, made: str) -> str:
    return (
        '<realmCode code="CN"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_MT000040"/>'
        f'<templateId root="{OID}2.1.1.{template}"/><!-- 文档流水号 --><id root="{OID}1.1" extension="{number}"/>'
        f'<code code="{code}" codeSystem="{OID}2.4" codeSystemName="卫生信息共享文档规范编码体系"/><title>{title}</title>'
        f'<effectiveTime value="{made}"/><confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="zh-CN"/>'
        "<setId/><versionNumber/>\n"
    )


def _patient(person: Person, ids: dict[str, str], *, extra: str = "", after: str = "") -> str:
    numbers = "".join(_id(tail, value) for tail, value in ids.items())
    own = (_id("3", person.id_card) if person.id_card else "") + (_id("2", person.archive) if person.archive else "")
    phone = f'<telecom value="{person.phone}"/>' if person.phone else ""
    sex = f'<administrativeGenderCode code="{person.sex}" codeSystem="{OID}2.3.3.4" displayName="{person.sex_display}"/>' if person.sex else ""
    return (
        f'<recordTarget typeCode="RCT" contextControlCode="OP"><patientRole classCode="PAT">{numbers}{extra}{phone}'
        f'<patient classCode="PSN" determinerCode="INSTANCE">{own}<name>{escape(person.name)}</name>{sex}'
        f'<birthTime value="{person.born}"/><age unit="岁" value="{person.age}"/></patient>{after}</patientRole></recordTarget>\n'
    )


def _author(time: str, who: tuple[str, str], shape: Shape) -> str:
    number = f'<id root="{OID}{shape.staff}" extension="{who[0]}"/>'
    return (
        f'<author typeCode="AUT" contextControlCode="OP"><time value="{time}"/><assignedAuthor classCode="ASSIGNED">{number}'
        f"<assignedPerson><name>{escape(who[1])}</name></assignedPerson></assignedAuthor></author>\n"
    )


def _custodian(organisation: tuple[str, str]) -> str:
    inner = f'<representedCustodianOrganization classCode="ORG">{_organisation(organisation)}</representedCustodianOrganization>'
    return f'<custodian typeCode="CST"><assignedCustodian classCode="ASSIGNED">{inner}</assignedCustodian></custodian>\n'


def _signed(tag: str, role: str, who: tuple[str, str], time: str) -> str:
    return (
        f'<{tag}><time value="{time}"/><signatureCode/><assignedEntity><id root="{OID}1.4" extension="{who[0]}"/><code displayName="{role}"/>'
        f'<assignedPerson classCode="PSN" determinerCode="INSTANCE"><name>{escape(who[1])}</name></assignedPerson></assignedEntity></{tag}>\n'
    )


def _replaced(number: str) -> str:
    inner = f'<id root="{OID}1.1" extension="{number}"/>' if number else "<id/>"
    return f'<relatedDocument typeCode="RPLC"><parentDocument>{inner}<setId/><versionNumber/></parentDocument></relatedDocument>\n'


def _ward(organisation: tuple[str, str]) -> str:
    """The tower of asOrganizationPartOf: 病床, 病房, 科室, 病区, 医院."""
    tower = f"<wholeOrganization>{_organisation(organisation)}</wholeOrganization>"
    for tail, number, name in (("27", "", "门诊"), ("26", "0301", "心血管内科门诊"), ("21", "-", ""), ("22", "-", "")):
        named = f"<name>{name}</name>" if name else ""
        part = f'<asOrganizationPartOf classCode="PART">{tower}</asOrganizationPartOf>'
        tower = f'<wholeOrganization classCode="ORG">{_id(tail, number)}{named}{part}</wholeOrganization>'
    return (
        "<componentOf><encompassingEncounter><effectiveTime/><location><healthCareFacility><serviceProviderOrganization>"
        f'<asOrganizationPartOf classCode="PART">{tower}</asOrganizationPartOf>'
        "</serviceProviderOrganization></healthCareFacility></location></encompassingEncounter></componentOf>\n"
    )


def _section(code: str, display: str, title: str, entries: str, shape: Shape, narrative: str = "") -> str:
    coded = f'code="{code}" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC" displayName="{display}"'
    called = coded if code and shape.coded_sections else f'displayName="{title}"'
    text = f"<text>{escape(narrative)}</text>" if narrative else "<text/>"
    return f"<section><code {called}/>{text}\n{entries}</section>"


def _diagnosis(report: Laboratory) -> str:
    code, name = report.diagnosis
    if not code:
        return ""
    place = f"<representedOrganization><name>{escape(report.organisation[1])}</name></representedOrganization>"
    when = f'<effectiveTime value="{report.collected[:8]}"/>'
    coded = f'<value xsi:type="CD" code="{code}" codeSystem="{OID}2.3.3.11.3" displayName="{name}"/>'
    value = f"{when}{coded}<performer><assignedEntity><id/>{place}</assignedEntity></performer>"
    return _entry(_observation("DE05.01.024.00", "诊断代码", value))


def _studies(report: Laboratory, shape: Shape) -> str:
    kind = f'<value xsi:type="CD" code="{report.kind_code}" displayName="{report.kind}"/>' if report.kind_code else _st(report.kind)
    head = _text("DE02.10.027.00", "检验方法名称", "酶法") + _entry(_observation("DE04.30.018.00", "检验类别", kind))
    return head + "".join(_item(item, report, shape) for item in report.items)


def _item(item: Item, report: Laboratory, shape: Shape) -> str:
    specimen = _observation(
        "DE04.50.134.00",
        "标本类别",
        f'<effectiveTime><low value="{report.collected}"/><high value="{report.received}"/></effectiveTime>{_st(report.specimen_kind)}',
    )
    state = _observation("DE04.50.135.00", "标本状态", _st(report.specimen_state))
    related = "".join(f'<entryRelationship typeCode="COMP">{inner}</entryRelationship>' for inner in (specimen, state))
    parts = [
        _observation("DE04.30.019.00", "检验项目代码", f'<effectiveTime value="{report.tested}"/><value xsi:type="ST">{item.code}</value>{related}')
    ]
    if item.name:
        parts.append(_observation("DE04.30.020.00", "检查/检验项目名称", _st(item.name)))
    if item.flag:
        name = {"1": "正常", "2": "异常", "3": "不确定"}.get(item.flag, "")
        parts.append(
            _observation(
                "DE04.30.017.00", "检验结果代码", f'<value xsi:type="CD" code="{item.flag}" codeSystem="{OID}2.3.2.38" displayName="{name}"/>'
            )
        )
    if item.value:
        parts.append(_observation("DE04.30.015.00", "检验定量结果", _number(item, shape)))
    if shape.organizers:
        components = "".join(f"<component>{part}</component>" for part in parts)
        return _entry(f'<organizer classCode="CLUSTER" moodCode="EVN"><statusCode/>{components}</organizer>')
    return "".join(_entry(part) for part in parts)


def _number(item: Item, shape: Shape) -> str:
    allowed = f"<referenceRange><observationRange><text>{escape(item.range)}</text></observationRange></referenceRange>" if item.range else ""
    if not shape.real:
        return f'<value xsi:type="ST" value={quoteattr(item.value)} unit={quoteattr(item.unit)}/>{allowed}'
    unit = (
        f'<entryRelationship typeCode="COMP">{_observation("DE04.30.016.00", "检查定量结果计量单位", _st(item.unit))}</entryRelationship>'
        if item.unit
        else ""
    )
    return f'<value xsi:type="REAL" value={quoteattr(item.value)}/>{unit}{allowed}'


def _closing(report: Laboratory) -> str:
    return (
        _text("DE04.50.130.00", "检验报告结果", report.conclusion)
        + _text("DE08.10.026.00", "检验报告科室", "检验科")
        + _text("DE08.10.013.00", "检验报告机构名称", report.organisation[1])
        + _text("DE06.00.179.00", "检验报告备注", report.note)
    )


def _diagnoses(visit: Outpatient) -> str:
    code, name = visit.first
    found = (
        _entry(
            _observation("DE06.00.196.00", "初诊标志代码", f'<value xsi:type="CD" code="{code}" codeSystem="{OID}2.3.2.39" displayName="{name}"/>')
        )
        if code
        else ""
    )
    found += _text("DE02.10.028.00", "中医“四诊”观察结果", visit.four)
    for code, name in visit.diagnoses:
        value = f'<value xsi:type="CD" code="{code}" codeSystem="{OID}2.3.3.{visit.icd}" displayName="{name}"/>'
        found += _entry(_observation("DE05.01.024.00", "诊断代码", value)) + _text("DE05.01.025.00", "诊断名称", name)
    if visit.tcm:
        disease, disease_name, syndrome, syndrome_name = visit.tcm
        found += _tcm("DE05.10.130.00", "中医病名代码", f'<value xsi:type="CD" code="{disease}" codeSystem="{OID}2.3.3.14"/>')
        found += _tcm("DE05.10.172.00", "中医病名名称", _st(disease_name))
        found += _tcm("DE05.10.130.00", "中医证候代码", f'<value xsi:type="CD" code="{syndrome}" codeSystem="{OID}2.3.3.14"/>')
        found += _tcm("DE05.10.172.00", "中医证候名称", _st(syndrome_name))
    return found


def _tcm(element: str, role: str, value: str) -> str:
    qualifier = f'<qualifier><name displayName="{role}"/></qualifier>'
    code = f'<code code="{element}" {CATALOGUE} displayName="{role}">{qualifier}</code>'
    return _entry(f'<observation classCode="OBS" moodCode="EVN">{code}{value}</observation>')


def _order(order: Order, doctor: tuple[str, str]) -> str:
    kind = f'<value xsi:type="CD" code="{order.kind}" codeSystem="{OID}2.3.1.268" displayName="{order.kind_name}"/>'
    end = f'<high value="{order.end}"/>' if order.end else "<high/>"
    author = (
        f'<author><time value="{order.start}"/><assignedAuthor><id root="{OID}1.4" extension="{doctor[0]}"/><code displayName="医嘱开立者"/>'
        f"<assignedPerson><name>{escape(doctor[1])}</name></assignedPerson><representedOrganization><name>心血管内科门诊</name></representedOrganization>"
        "</assignedAuthor></author>"
    )
    check = (
        f'<participant typeCode="ATND"><time value="{order.start}"/><participantRole classCode="ASSIGNED"><id root="{OID}1.4"/>'
        '<code displayName="医嘱审核人"/><playingEntity classCode="PSN"><name>冯审方</name></playingEntity></participantRole></participant>'
    )
    inner = "".join(
        f'<entryRelationship typeCode="COMP">{_observation(element, name, _st(value))}</entryRelationship>'
        for element, name, value in (("DE06.00.179.00", "医嘱备注信息", order.note), ("DE06.00.290.00", "医嘱执行状态", order.state))
        if value
    )
    text = f'<effectiveTime><low value="{order.start}"/>{end}</effectiveTime>{_st(order.text)}{author}{check}{inner}'
    parts = _observation("DE06.00.289.00", "医嘱项目类型", kind), _observation("DE06.00.288.00", "医嘱项目内容", text)
    components = "".join(f"<component>{part}</component>" for part in parts)
    return _entry(f'<organizer classCode="CLUSTER" moodCode="EVN"><statusCode/>{components}</organizer>')


def _text(element: str, display: str, value: str) -> str:
    return _entry(_observation(element, display, _st(value))) if value else ""


def _entry(inner: str) -> str:
    return f"<entry>{inner}</entry>\n"


def _observation(element: str, display: str, inner: str) -> str:
    return f'<observation classCode="OBS" moodCode="EVN"><code code="{element}" {CATALOGUE} displayName="{display}"/>{inner}</observation>'


def _st(value: str) -> str:
    return f'<value xsi:type="ST">{escape(value)}</value>'


def _id(tail: str, value: str) -> str:
    return f'<id root="{OID}1.{tail}" extension={quoteattr(value)}/>' if value else f'<id root="{OID}1.{tail}"/>'


def _organisation(organisation: tuple[str, str]) -> str:
    return f"{_id('5', organisation[0])}<name>{escape(organisation[1])}</name>"
