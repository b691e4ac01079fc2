"""What must come of a fact: the resources by business number that the national forms and the issue ask for, with a few true values.

Computed from facts alone, by hand-written tables and not by the gateway's maps, so that a map that forgets something is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from gateway.demo.feeds import FEEDS
from gateway.demo.laboratory import LABORATORIES
from gateway.demo.life import Fact
from gateway.record import Fields

__all__ = ["Expected", "expected", "record_key"]

Said = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """One resource. value: business number as the identifier has it; person: whose it is, None for nobody's; says: pairs of what
    (`status`, `value`, `unit`, `code`, `name`, or the LOINC code of a component) and how; tolerance: of numbers whose unit the vendor changed."""

    type: str
    namespace: str
    value: str
    person: int | None
    says: Said = ()
    tolerance: Decimal = Decimal(0)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return self.type, self.namespace, self.value


_KEYS = {
    "organisation": ("机构代码",),
    "staff": ("机构代码", "工号"),
    "resident_profile": ("健康档案编号",),
    "hypertension_followup": ("健康档案编号", "随访日期"),
    "village_reading": ("机构代码", "读数编号"),
    "outpatient_visit": ("机构代码", "就诊号"),
    "hl7v2_adt": ("机构代码", "就诊号"),
    "cda_c0002": ("机构代码", "就诊号"),
    "prescription": ("机构代码", "处方号"),
    "laboratory_report": ("机构代码", "报告单号"),
    "referral_out": ("转出机构代码", "转诊单编号"),
}


def record_key(fact: Fact) -> tuple[str, str, tuple[str, ...]]:
    """Issuing system, dataset and key: what makes two facts versions of one record."""
    return FEEDS[fact.source].system, fact.dataset, tuple(str(fact.fields.get(k, "")) for k in _KEYS[fact.dataset])


def expected(fact: Fact, withheld: frozenset[str] = frozenset()) -> Iterator[Expected]:
    """The resources of a record's current version. withheld: codes of results that a person must release first."""
    if fact.dataset == "laboratory_report":
        yield from _laboratory(fact, withheld)
    else:
        yield from _BY_DATASET[fact.dataset](fact)


def _number(*parts: object) -> str:
    return "/".join(str(p) for p in parts)


def _carried(fact: Fact) -> Fields:
    """The fields that the feed's vendor has columns for."""
    profile = FEEDS[fact.source].vendor(fact.dataset).profile
    names = {*profile["fields"], *profile.get("constants", {}), *profile.get("groups", {})}
    return {name: value for name, value in fact.fields.items() if name in names}


def _organisation(fact: Fact) -> Iterator[Expected]:
    f = fact.fields
    yield Expected("Organization", "org", f["机构代码"], None, (("name", f["机构名称"]),))
    yield Expected("OrganizationAffiliation", "consortium-member", _number(f["牵头机构代码"], f["机构代码"]), None)
    for department in f.get("科室", []):
        yield Expected("Location", "location", _number(f["机构代码"], department["科室代码"]), None, (("status", "active"),))


def _staff(fact: Fact) -> Iterator[Expected]:
    number = _number(fact.fields["机构代码"], fact.fields["工号"])
    yield Expected("Practitioner", "staff", number, None, (("name", fact.fields["姓名"]),))
    yield Expected("PractitionerRole", "staff-role", number, None)


_PROFILE = {"ABO血型": "profile-abo", "Rh血型": "profile-rh", "常住类型": "profile-residence"}


def _profile(fact: Fact) -> Iterator[Expected]:
    f, archive = _carried(fact), fact.fields["健康档案编号"]
    for field, namespace in _PROFILE.items():
        if field in f:
            yield Expected("Observation", namespace, archive, fact.resident, (("status", "final"),))
    for code in f["医疗费用支付方式"]:
        yield Expected("Coverage", "profile-coverage", _number(archive, code), fact.resident, (("status", "active"),))
    for code in f["药物过敏史"]:
        yield Expected("AllergyIntolerance", "profile-allergy", _number(archive, code), fact.resident)
    for disease in f["既往疾病"]:
        code = disease["疾病代码"]
        if code == "1":
            yield Expected("Observation", "profile-no-condition", _number(archive, code), fact.resident, (("status", "final"),))
        else:
            yield Expected("Condition", "profile-condition", _number(archive, code), fact.resident)


_FOLLOWUP = {
    "收缩压": "htn-bp",
    "体重": "htn-weight",
    "身高": "htn-height",
    "体质指数": "htn-bmi",
    "心率": "htn-heart-rate",
    "日吸烟量": "htn-smoking",
    "日饮酒量": "htn-drinking",
    "运动频次": "htn-exercise",
    "摄盐情况": "htn-salt",
    "心理调整": "htn-psychological",
    "遵医行为": "htn-compliance",
    "服药依从性": "htn-adherence",
    "随访分类": "htn-classification",
}
_MEASURED = {"htn-weight": "kg", "htn-height": "cm", "htn-bmi": "kg/m2", "htn-heart-rate": "/min"}


def _followup(fact: Fact) -> Iterator[Expected]:
    f, number = _carried(fact), _number(fact.fields["健康档案编号"], fact.fields["随访日期"])
    rounded = Decimal("0.1") if "体重" in FEEDS[fact.source].vendor(fact.dataset).profile.get("units", {}) else Decimal(0)
    yield Expected("Encounter", "htn-visit", number, fact.resident, (("status", "finished"),))
    for field, namespace in _FOLLOWUP.items():
        if field in f:
            says: Said = (("status", "final"),)
            if namespace == "htn-bp":
                says += (("8480-6", f["收缩压"]), ("8462-4", f["舒张压"]))
            elif namespace in _MEASURED:
                says += (("value", f[field]), ("unit", _MEASURED[namespace]))
            yield Expected("Observation", namespace, number, fact.resident, says, rounded if namespace == "htn-weight" else Decimal(0))
    for symptom in f["症状"]:
        yield Expected("Observation", "htn-symptom", _number(number, symptom), fact.resident)
    for medicine in f["用药"]:
        yield Expected("MedicationStatement", "htn-medication", _number(number, medicine["药物名称"]), fact.resident, (("status", "active"),))
    yield Expected("CarePlan", "htn-plan", fact.fields["健康档案编号"], fact.resident, (("status", "active"),))
    if "转诊原因" in f:
        yield Expected("ServiceRequest", "referral-proposal", number, fact.resident, (("status", "draft"),))


def _reading(fact: Fact) -> Iterator[Expected]:
    f, number = _carried(fact), _number(fact.fields["机构代码"], fact.fields["读数编号"])
    status = ("status", "entered-in-error" if fact.fields.get("读数状态") == "9" else "final")
    rounded = Decimal("0.5") if "收缩压" in FEEDS[fact.source].vendor(fact.dataset).profile.get("units", {}) else Decimal(0)
    if "收缩压" in f:
        says = (status, ("8480-6", f["收缩压"]), ("8462-4", f["舒张压"]))
        yield Expected("Observation", "village-bp", number, fact.resident, says, rounded)
    if "脉率" in f:
        yield Expected("Observation", "village-heart-rate", number, fact.resident, (status, ("value", f["脉率"]), ("unit", "/min")))
    if "血糖" in f:
        yield Expected("Observation", "village-glucose", number, fact.resident, (status, ("value", f["血糖"]), ("unit", "mmol/L")))


_VISIT = {"1": "arrived", "2": "in-progress", "3": "finished", "9": "cancelled"}


def _visit(fact: Fact) -> Iterator[Expected]:
    f, number = fact.fields, _number(fact.fields["机构代码"], fact.fields["就诊号"])
    yield Expected("Encounter", "visit", number, fact.resident, (("status", _VISIT[f["就诊状态"]]),))
    for diagnosis in f["诊断"]:
        yield Expected("Condition", "visit-condition", _number(number, diagnosis["诊断代码"]), fact.resident, (("code", diagnosis["诊断代码"]),))


def _admission(fact: Fact) -> Iterator[Expected]:
    yield Expected("Encounter", "visit", _number(fact.fields["机构代码"], fact.fields["就诊号"]), fact.resident)


_TOLD = {"现病史": "visit-present-illness", "既往史": "visit-past-illness", "体格检查": "visit-physical-findings"}


def _document(fact: Fact) -> Iterator[Expected]:
    f, number = fact.fields, _number(fact.fields["机构代码"], fact.fields["就诊号"])
    yield Expected("Encounter", "visit", number, fact.resident)
    yield Expected("DocumentReference", "document", _number(f["机构代码"], "C0002", f["就诊号"]), fact.resident, (("status", "current"),))
    for field, namespace in _TOLD.items():
        if field in f:
            yield Expected("Observation", namespace, number, fact.resident, (("status", "final"), ("value", f[field])))
    if "中医病名代码" in f:
        says = (("code", str(f["中医病名代码"])),)
        yield Expected("Condition", "visit-condition", _number(number, f["中医病名代码"]), fact.resident, says)


_PRESCRIBED = {"1": "active", "2": "active", "3": "active", "4": "stopped", "9": "cancelled"}


def _prescription(fact: Fact) -> Iterator[Expected]:
    f = fact.fields
    for item in f["药品"]:
        number = _number(f["机构代码"], f["处方号"], item["序号"])
        yield Expected("MedicationRequest", "prescription-item", number, fact.resident, (("status", _PRESCRIBED[f["处方状态"]]),))


def _referral(fact: Fact) -> Iterator[Expected]:
    f = fact.fields
    number = _number(f["转出机构代码"], f["转诊单编号"])
    yield Expected("ServiceRequest", "referral", number, fact.resident, (("status", "active"),))
    yield Expected("Task", "referral-task", number, fact.resident, (("status", "requested"),))
    yield Expected("Condition", "referral-impression", number, fact.resident)
    for diagnosis in f["诊断"]:
        yield Expected("Condition", "referral-condition", _number(number, diagnosis["诊断编码"]), fact.resident, (("code", diagnosis["诊断编码"]),))


_REPORTED = {"2": "preliminary", "3": "final", "4": "corrected", "8": "cancelled"}
_RESULT = {"1": "preliminary", "2": "final", "3": "corrected", "8": "cancelled"}
_ORDERED = {"2": "active", "3": "completed", "4": "completed", "8": "revoked"}
_ITEMS = {(lab.source, test.code): test for lab in LABORATORIES for _, _, tests in lab.panels for test in tests}


def _laboratory(fact: Fact, withheld: frozenset[str]) -> Iterator[Expected]:
    f, org = fact.fields, fact.fields["机构代码"]
    document = FEEDS[fact.source].adapter == "cda"
    final = "amended" if f.get("被替代文档") else "final"
    if document:
        yield Expected("DocumentReference", "document", _number(org, "C0007", f["报告单号"]), fact.resident, (("status", "current"),))
    for order in f["申请"]:
        panel, state = order["申请项目代码"], order["报告状态"]
        done = final if document else "partial" if withheld else _REPORTED[state]
        yield Expected("ServiceRequest", "lab-order", _number(org, order["申请单号"], panel), fact.resident, (("status", _ORDERED[state]),))
        yield Expected("Specimen", "specimen", _number(org, order["标本条码"]), fact.resident)
        yield Expected("DiagnosticReport", "lab-report", _number(org, f["报告单号"], panel), fact.resident, (("status", done),))
        for result in order["结果"]:
            if result["项目代码"] in withheld:
                continue
            test = _ITEMS[fact.source, result["项目代码"]]
            says: Said = (("status", final if document else _RESULT[result["结果状态"]]), ("code", test.loinc))
            if result["结果值"]:
                says += (("value", result["结果值"]), ("unit", test.ucum))
            number = _number(org, f["报告单号"], panel, result["项目代码"], "")
            yield Expected("Observation", "lab-result", number, fact.resident, says)


_BY_DATASET: dict[str, Callable[[Fact], Iterator[Expected]]] = {
    "organisation": _organisation,
    "staff": _staff,
    "resident_profile": _profile,
    "hypertension_followup": _followup,
    "village_reading": _reading,
    "outpatient_visit": _visit,
    "hl7v2_adt": _admission,
    "cda_c0002": _document,
    "prescription": _prescription,
    "referral_out": _referral,
}
