"""A year in the county as business facts: what truly happened, in the national forms' fields and codes, before any vendor writes it.

A fact is the ground truth of one record: whoever sends it, however often and in whatever order, it is this record and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from gateway.demo.county import County, Institution, Staff
from gateway.demo.people import Resident
from gateway.record import Fields

__all__ = ["YEAR", "Fact", "directory", "followups", "person_fields", "profiles", "readings", "text_of", "visits"]

YEAR = 365
QUEUE = 0.1
"""Share of visits that follow another one of the same place within minutes."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One record as it truly is. resident: number of the person, None where it is of nobody; stamp: when it was written, in the county's
    zone; fields: national field -> value in national codes; source: the feed that carries it; a later version of the same record is a fact
    of its own."""

    dataset: str
    institution: str
    stamp: datetime
    fields: Fields
    resident: int | None = None
    source: str = ""


def text_of(moment: datetime) -> str:
    """A moment as most systems print it."""
    return moment.isoformat(sep=" ", timespec="seconds")


def person_fields(resident: Resident) -> Fields:
    """Who the record is about, in the words that most forms share."""
    numbers = {"身份证号": resident.card, "健康档案编号": resident.archive}
    return {n: v for n, v in numbers.items() if v} | {"姓名": resident.name, "性别": resident.sex, "出生日期": resident.born.isoformat()}


def directory(county: County, stamp: datetime) -> Iterator[Fact]:
    """Institutions and staff."""
    for place in county.institutions.values():
        fields: Fields = {"机构代码": place.code, "机构名称": place.name, "机构层级": place.level, "机构类别": place.kind, "行政区划代码": place.area}
        fields |= {"统一社会信用代码": place.credit_code, "牵头机构代码": place.lead, "状态": "1", "更新时间": text_of(stamp)}
        if place.upper:
            fields["上级机构代码"] = place.upper
        if place.departments:
            fields["科室"] = [{"科室代码": d.code, "科室名称": d.name} for d in place.departments]
        yield Fact("organisation", place.code, stamp, fields)
    for members in county.staff.values():
        for member in members:
            yield Fact("staff", member.institution, stamp, _staff(member, stamp))


def _staff(member: Staff, stamp: datetime) -> Fields:
    fields: Fields = {"机构代码": member.institution, "工号": member.number, "姓名": member.name, "人员类别": member.kind, "在岗状态": "1"}
    if member.department:
        fields |= {"科室代码": member.department.code, "科室名称": member.department.name}
    return fields | {"更新时间": text_of(stamp)}


def profiles(county: County, residents: Sequence[Resident], chance: Random, stamp: datetime) -> Iterator[Fact]:
    """居民个人基本信息 of everyone with a file."""
    for resident in residents:
        village = county.institutions[resident.village]
        at = stamp + timedelta(minutes=resident.number)
        diseases = [code for code, ill in (("2", resident.hypertension), ("3", resident.diabetes)) if ill]
        fields = person_fields(resident) | {
            "本人电话": [resident.phone],
            "常住类型": "1",
            "民族": "01",
            "ABO血型": chance.choice("12345"),
            "Rh血型": "2",
            "婚姻状况": "2" if resident.age(stamp.date()) > 24 else "1",
            "医疗费用支付方式": ["2"],
            "药物过敏史": ["2"] if chance.random() < 0.05 else ["1"],
            "既往疾病": [{"疾病代码": code} for code in diseases] or [{"疾病代码": "1"}],
            "现住址": f"云溪县{village.name.removesuffix('卫生室')}",
            "行政区划代码": village.area,
            "建档机构代码": village.code,
            "建档机构名称": village.name,
            "建档日期": (stamp.date() - timedelta(days=chance.randrange(200, 3000))).isoformat(),
            "更新时间": text_of(at),
        }
        yield Fact("resident_profile", village.code, at, fields, resident.number)


def followups(county: County, residents: Sequence[Resident], chance: Random, start: date) -> Iterator[Fact]:
    """Four 高血压随访 a year of everyone with hypertension, every second week more often when the pressure is not controlled."""
    for resident in residents:
        if not resident.hypertension:
            continue
        doctor = county.staff[resident.village][0]
        day = start + timedelta(days=chance.randrange(60))
        while day < start + timedelta(days=YEAR):
            fact = _followup(resident, doctor, day, chance)
            yield fact
            day = date.fromisoformat(fact.fields["下次随访日期"]) + timedelta(days=chance.randrange(4))


def _followup(resident: Resident, doctor: Staff, day: date, chance: Random) -> Fact:
    systolic = round(chance.gauss(138, 12))
    diastolic = round(systolic * 0.6 + chance.gauss(0, 4))
    height, weight = (1.68 if resident.sex == "1" else 1.56), round(chance.gauss(64, 8), 1)
    controlled = systolic < 140 and diastolic < 90
    at = datetime.combine(day, time(9)) + timedelta(minutes=chance.randrange(480))
    fields = person_fields(resident) | {
        "随访日期": day.isoformat(),
        "随访方式": chance.choice("123"),
        "症状": ["1"] if controlled else [chance.choice("268")],
        "收缩压": str(systolic),
        "舒张压": str(diastolic),
        "体重": str(weight),
        "身高": str(round(height * 100)),
        "体质指数": f"{weight / height**2:.1f}",
        "心率": str(round(chance.gauss(76, 8))),
        "日吸烟量": chance.choice(("0", "0", "10")),
        "日饮酒量": chance.choice(("0", "0", "2")),
        "运动频次": chance.choice(("0", "3", "7")),
        "运动时长": chance.choice(("20", "30", "60")),
        "摄盐情况": chance.choice("123"),
        "心理调整": "1",
        "遵医行为": chance.choice("12"),
        "服药依从性": "1" if controlled else "2",
        "药物不良反应": "1",
        "随访分类": "1" if controlled else "2",
        "用药": [{"药物名称": "苯磺酸氨氯地平片", "每日次数": "1", "每次剂量": "5", "剂量单位": "mg", "用法说明": "每日1次, 每次5mg"}],
        "下次随访日期": (day + timedelta(days=90 if controlled else 14)).isoformat(),
        "随访医生签名": doctor.name,
        "随访医生工号": doctor.number,
        "随访机构代码": doctor.institution,
        "更新时间": text_of(at),
    }
    return Fact("hypertension_followup", doctor.institution, at, fields, resident.number)


def readings(county: County, residents: Sequence[Resident], chance: Random, start: date) -> Iterator[Fact]:
    """Blood pressure and glucose taken at village posts."""
    number = 0
    for resident in residents:
        if not (resident.hypertension or resident.diabetes):
            continue
        doctor = county.staff[resident.village][0]
        for _ in range(chance.randrange(10, 19)):
            number += 1
            at = datetime.combine(start + timedelta(days=chance.randrange(YEAR)), time(8)) + timedelta(minutes=chance.randrange(540))
            fields = {"机构代码": resident.village, "读数编号": f"DS{number:06}", "测量时间": text_of(at)} | person_fields(resident)
            if resident.hypertension:
                fields |= {
                    "收缩压": str(round(chance.gauss(140, 14))),
                    "舒张压": str(round(chance.gauss(84, 8))),
                    "脉率": str(chance.randrange(58, 96)),
                }
            if resident.diabetes:
                fields |= {"血糖": f"{max(3.9, chance.gauss(7.4, 1.6)):.1f}", "血糖时机": chance.choice("12")}
            fields |= {"测量人工号": doctor.number, "测量人姓名": doctor.name, "读数状态": "1", "更新时间": text_of(at + timedelta(minutes=5))}
            yield Fact("village_reading", resident.village, at + timedelta(minutes=5), fields, resident.number)


_DIAGNOSES = (("I10.x05", "高血压病2级"), ("E11.900", "2型糖尿病"), ("J06.900", "急性上呼吸道感染"), ("M54.500", "腰痛"))
_MEDICINES = {"I10.x05": ("缬沙坦胶囊", "80mg×7粒", "80", "mg"), "E11.900": ("盐酸二甲双胍片", "0.5g×20片", "0.5", "g")}


def visits(county: County, residents: Sequence[Resident], chance: Random, start: date) -> Iterator[Fact]:
    """Outpatient visits at hospitals and township health centres with their diagnoses, and a prescription for some."""
    places = [*county.at_level("1"), *county.at_level("2"), *county.at_level("3")]
    counters = dict.fromkeys((p.code for p in places), 0)
    newest: dict[str, datetime] = {}
    for resident in residents:
        for _ in range(chance.choice((1, 2, 3, 3, 5))):
            place = chance.choice(places)
            counters[place.code] += 1
            at = datetime.combine(start + timedelta(days=chance.randrange(YEAR)), time(8)) + timedelta(minutes=chance.randrange(540))
            if place.code in newest and chance.random() < QUEUE:
                at = newest[place.code] + timedelta(minutes=chance.randrange(1, 6))
            newest[place.code] = at
            yield from _visit(resident, place, chance.choice(county.of_kind(place.code, "1")), counters[place.code], at, chance)


def _visit(resident: Resident, place: Institution, doctor: Staff, number: int, at: datetime, chance: Random) -> Iterator[Fact]:
    ill = [d for d, has in zip(_DIAGNOSES, (resident.hypertension, resident.diabetes, True, True), strict=True) if has]
    code, name = ill[0] if len(ill) > 2 else chance.choice(ill)
    end = at + timedelta(minutes=20)
    shared = {"机构代码": place.code, "机构名称": place.name, "就诊号": f"MZ{at:%Y}{number:06}"} | person_fields(resident)
    if doctor.department:
        shared |= {"科室代码": doctor.department.code, "科室名称": doctor.department.name}
    shared |= {"医师工号": doctor.number, "医师姓名": doctor.name, "更新时间": text_of(end)}
    diagnosis = {"诊断代码": code, "诊断名称": name, "诊断顺位": "1", "诊断类别": "1", "诊断日期": text_of(at)}
    visit = {"就诊类别": "1", "就诊状态": "3", "初诊标志": chance.choice("12"), "就诊时间": text_of(at), "结束时间": text_of(end), "主诉": "不适待查"}
    yield Fact("outpatient_visit", place.code, end, shared | visit | {"诊断": [diagnosis]}, resident.number)
    if code in _MEDICINES:
        drug, package, dose, unit = _MEDICINES[code]
        item = {"序号": "1", "药品名称": drug, "药品规格": package, "次剂量": dose, "剂量单位": unit, "频次": "qd", "途径": "1", "天数": "28"}
        order = {"处方号": f"CF{at:%Y}{number:06}", "处方类别": "1", "处方状态": "3", "开立时间": text_of(at + timedelta(minutes=10)), "药品": [item]}
        yield Fact("prescription", place.code, end, shared | order, resident.number)
