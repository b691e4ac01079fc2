"""What follows from visits: admissions on the wire, medical records as documents, and referral forms (转诊(转出)单)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from random import Random

from gateway.demo.county import County
from gateway.demo.life import YEAR, Fact, person_fields, text_of
from gateway.demo.people import Resident
from gateway.record import Fields

__all__ = ["admissions", "documents", "referral", "referrals"]

_HOSPITALS = {"390121001": "people", "390121002": "chinese"}
_REFERRING = {"390121101001": "390121001", "390121102001": "390121001", "390121103001": "390121002"}
"""Township -> the lead hospital it refers to."""


def admissions(visits: Sequence[Fact], chance: Random) -> Iterator[Fact]:
    """Registration (ADT^A04) of half of the lead hospitals' visits of people with a card, an update (A08) of some."""
    for fact in visits:
        if fact.dataset != "outpatient_visit" or fact.institution not in _HOSPITALS or "身份证号" not in fact.fields or chance.random() < 0.5:
            continue
        source = f"{_HOSPITALS[fact.institution]}-adt"
        at = fact.stamp - timedelta(minutes=20)
        yield Fact("hl7v2_adt", fact.institution, at, fact.fields | {"报文": "A04"}, fact.resident, source)
        if chance.random() < 0.2:
            yield Fact("hl7v2_adt", fact.institution, at + timedelta(minutes=5), fact.fields | {"报文": "A08"}, fact.resident, source)


def documents(visits: Sequence[Fact], chance: Random) -> Iterator[Fact]:
    """Medical records (C0002) of a third of the lead hospitals' visits, with what the HIS does not tell; diseases of Chinese medicine at the
    Chinese hospital."""
    for fact in visits:
        if fact.dataset != "outpatient_visit" or fact.institution not in _HOSPITALS or "身份证号" not in fact.fields or chance.random() < 0.66:
            continue
        told: Fields = {"现病史": "数日前起不适, 未规律用药。", "既往史": "否认药物过敏。", "体格检查": "神清, 心肺无异常。"}
        if fact.institution == "390121002":
            told |= {"中医病名代码": "A17.07", "中医病名名称": "眩晕病"}
        fields = {k: v for k, v in fact.fields.items() if k != "诊断"} | told
        stamp = fact.stamp + timedelta(minutes=10)
        source = f"{_HOSPITALS[fact.institution]}-documents"
        yield Fact("cda_c0002", fact.institution, stamp, fields | {"更新时间": text_of(stamp)}, fact.resident, source)


def referrals(county: County, residents: Sequence[Resident], chance: Random, start: date) -> Iterator[Fact]:
    """Referral forms of one in eight people with hypertension, and of at least one in each township."""
    number, towns = 0, set[str]()
    for resident in residents:
        if resident.hypertension and (resident.village[:9] not in towns or chance.random() < 0.125):
            number += 1
            towns.add(resident.village[:9])
            at = datetime.combine(start + timedelta(days=chance.randrange(YEAR)), time(10)) + timedelta(minutes=number)
            yield referral(county, resident, at, f"ZZ{at:%Y}{number:05}", "血压控制不满意, 连续两次随访不达标")


def referral(county: County, resident: Resident, at: datetime, number: str, reason: str) -> Fact:
    """The form by which the township of a resident refers to its lead hospital; submitted, not yet received."""
    township = f"{resident.village[:9]}001"
    target = _REFERRING[township]
    doctor = county.of_kind(township, "1")[0]
    fields = person_fields(resident) | {
        "转诊单编号": number,
        "转出机构代码": township,
        "转出机构名称": county.institutions[township].name,
        "转入机构代码": target,
        "转入机构名称": county.institutions[target].name,
        "转入科室": "心血管内科",
        "转诊医生": doctor.name,
        "转诊医生工号": doctor.number,
        "转出日期": text_of(at),
        "初步印象": "高血压",
        "转出原因": reason,
        "紧急程度": "0",
        "诊断": [{"诊断编码": "I10.x05", "诊断名称": "高血压病2级"}],
        "单据状态": "2",
        "更新时间": text_of(at + timedelta(minutes=5)),
    }
    if resident.archive:
        fields["健康档案编号"] = resident.archive
    return Fact("referral_out", township, at + timedelta(minutes=5), fields, resident.number)


def newer(fact: Fact, minutes: int, **changes: object) -> Fact:
    """The next version of a record: changed fields, later stamp."""
    stamp = fact.stamp + timedelta(minutes=minutes)
    return replace(fact, stamp=stamp, fields=fact.fields | {"更新时间": text_of(stamp)} | changes)
