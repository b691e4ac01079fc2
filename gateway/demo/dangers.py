"""What goes wrong in a county, put in on purpose: unit errors, borrowed cards, missing numbers, corrections to and fro, broken files.

Each danger adds or changes facts and says what must become of it: written, held (with the finding's code), or refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from gateway.demo.broken import KEYLESS, broken_parcels
from gateway.demo.county import County
from gateway.demo.expected import record_key
from gateway.demo.feeds import AUTHORITY, FEEDS
from gateway.demo.life import Fact, person_fields, text_of
from gateway.demo.parcel import Parcel
from gateway.demo.people import Resident, check_character, fifteen
from gateway.demo.postbag import sheet
from gateway.demo.referrals import newer, referral
from gateway.record import Fields

__all__ = ["Dangers", "dangers"]

RecordKey = tuple[str, str, tuple[str, ...]]
STRANGER = 100_000
"""Numbers of personas that are no residents of their own: a child under the mother's card, a newborn without any number."""


@dataclass(slots=True)
class Dangers:
    """facts: all that is sent, ordinary ones too; parcels: extra ones that are no facts; held: records that wait for a person, with the
    finding's code; withheld: codes of single results that wait; personas: number -> (name, numbers); holds: finding code -> how often;
    followed: the facts that the stories follow, by a word; strays: codes of rows that wait and that nobody can tell the record of."""

    facts: list[Fact]
    parcels: list[Parcel] = field(default_factory=list)
    held: dict[RecordKey, str] = field(default_factory=dict)
    withheld: dict[RecordKey, frozenset[str]] = field(default_factory=dict)
    personas: dict[int, tuple[str, frozenset[tuple[str, str]]]] = field(default_factory=dict)
    followed: dict[str, Fact] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)

    @property
    def holds(self) -> dict[str, int]:
        """Finding code -> records and single results that must wait."""
        return dict(Counter([*self.held.values(), *("impossible-value" for _ in self.withheld), *self.strays]))

    def hold(self, fact: Fact, code: str) -> None:
        """Sends a fact that must be held."""
        self.facts.append(fact)
        self.held[record_key(fact)] = code


@dataclass(frozen=True, slots=True)
class _Scene:
    """What dangers are made from."""

    county: County
    people: Sequence[Resident]
    chance: Random

    def pick(self, fits: Callable[[Resident], bool]) -> Resident:
        """A resident who fits; everybody's last resort is the first one with a card."""
        found = [r for r in self.people if fits(r)] or [r for r in self.people if r.card]
        return self.chance.choice(found)


def dangers(county: County, people: Sequence[Resident], ordinary: Sequence[Fact], chance: Random) -> Dangers:
    """All dangers of the county over what ordinarily happened."""
    scene, found = _Scene(county, people, chance), Dangers(list(ordinary))
    for make in (_readings, _glucose, _mother_and_child, _cards, _numberless, _codes, _laboratory, _prescriptions, _profiles, _story):
        make(scene, found)
    found.parcels += broken_parcels(found.facts, chance)
    found.strays += ["missing-key" for parcel in found.parcels if parcel.name == KEYLESS]
    _formula_error(found)
    return found


def _first(found: Dangers, fits: Callable[[Fact], bool]) -> Fact | None:
    """The first fact that fits and is not held."""
    return next((f for f in found.facts if fits(f) and record_key(f) not in found.held), None)


def _reading(scene: _Scene, resident: Resident, number: str, at: datetime, **values: str) -> Fact:
    """A reading at the resident's village post."""
    doctor = scene.county.staff[resident.village][0]
    fields = {"机构代码": resident.village, "读数编号": number, "测量时间": text_of(at)} | person_fields(resident) | values
    fields |= {"测量人工号": doctor.number, "测量人姓名": doctor.name, "读数状态": "1", "更新时间": text_of(at + timedelta(minutes=5))}
    source = f"meter-{resident.village[6:]}" if resident.village[6:9] == "103" else "village-posts"
    return Fact("village_reading", resident.village, at + timedelta(minutes=5), fields, resident.number, source)


def _readings(scene: _Scene, found: Dangers) -> None:
    """Glucose beyond the alarm limits is written and flagged; 90 mmol/L can only be a wrong unit and waits."""
    someone = scene.pick(lambda r: r.diabetes and r.card != "" and r.village[6:9] != "103")
    at = datetime(2026, 3, 2, 7, 30)
    for n, (value, held) in enumerate((("16.8", ""), ("3.5", ""), ("90", "impossible-value"))):
        fact = _reading(scene, someone, f"WX{n:04}", at + timedelta(days=n), 血糖=value, 血糖时机="1")
        if held:
            found.hold(fact, held)
        else:
            found.facts.append(fact)


def _glucose(scene: _Scene, found: Dangers) -> None:
    """One result of a report in mg/dL under the name of mmol/L: this result waits, its neighbours are written, the report is partial."""
    report = _first(found, lambda f: f.source == "people-lis" and any(r["项目代码"] == "GLU" for r in f.fields["申请"][0]["结果"]))
    if report is None:
        return
    order = report.fields["申请"][0]
    results = [r | {"结果值": "90"} if r["项目代码"] == "GLU" else r for r in order["结果"]]
    wrong = Fact(
        report.dataset, report.institution, report.stamp, report.fields | {"申请": [order | {"结果": results}]}, report.resident, report.source
    )
    found.facts[found.facts.index(report)] = wrong
    found.withheld[record_key(wrong)] = frozenset({"GLU"})


def _seen(scene: _Scene, hospital: str, number: str, at: datetime, who: Fields, resident: int) -> Fact:
    """A visit to the children's or general clinic of a lead hospital, as its HIS has it."""
    place = scene.county.institutions[hospital]
    doctor = scene.county.of_kind(hospital, "1")[0]
    end = at + timedelta(minutes=15)
    fields: Fields = {
        "机构代码": hospital,
        "机构名称": place.name,
        "就诊号": number,
        "科室代码": "0501",
        "科室名称": "儿科",
        "医师工号": doctor.number,
    }
    fields |= {"医师姓名": doctor.name, "更新时间": text_of(end), "就诊类别": "1", "就诊状态": "3", "初诊标志": "1", "就诊时间": text_of(at)}
    diagnosis = {"诊断代码": "J06.900", "诊断名称": "急性上呼吸道感染", "诊断顺位": "1", "诊断类别": "1", "诊断日期": text_of(at)}
    fields |= {"结束时间": text_of(end), "主诉": "发热一天", "诊断": [diagnosis]}
    return Fact("outpatient_visit", hospital, end, fields | who, resident, "people-his" if hospital == "390121001" else "chinese-his")


def _mother_and_child(scene: _Scene, found: Dangers) -> None:
    """A child registered under the mother's card, a day after the mother was seen herself: two Patients, a finding, no link."""
    mother = scene.pick(lambda r: r.sex == "2" and r.card != "" and 20 < r.age(datetime(2026, 6, 30).date()) < 45)
    born = datetime(2026, 5, 20)
    child: Fields = {"身份证号": mother.card, "姓名": f"{mother.name[:1]}小宝", "性别": "1", "出生日期": born.date().isoformat()}
    found.personas[STRANGER] = (str(child["姓名"]), frozenset({("urn:oid:2.16.156.10011.1.3", mother.card)}))
    own = _seen(scene, "390121001", "MZ2026900001", datetime(2026, 6, 10, 9), person_fields(mother), mother.number)
    borrowed = _seen(scene, "390121001", "MZ2026900002", datetime(2026, 6, 11, 9), child, STRANGER)
    found.facts += [own, borrowed]
    found.followed |= {"mother": own, "child": borrowed}


def _cards(scene: _Scene, found: Dangers) -> None:
    """The 15-digit card of somebody known by 18 digits is the same person; a card with a wrong check digit is no number, the archive
    number beside it is."""
    old = scene.pick(lambda r: r.card != "" and r.born.year < 1975)
    found.facts.append(
        _seen(scene, "390121002", "MZ2026900003", datetime(2026, 4, 2, 10), person_fields(old) | {"身份证号": fifteen(old.card)}, old.number)
    )
    mistyped = scene.pick(lambda r: r.card != "" and r.archive != "")
    wrong = mistyped.card[:17] + next(c for c in "0123456789X" if c != check_character(mistyped.card[:17]))
    found.facts.append(
        _seen(scene, "390121001", "MZ2026900004", datetime(2026, 4, 3, 10), person_fields(mistyped) | {"身份证号": wrong}, mistyped.number)
    )


def _numberless(scene: _Scene, found: Dangers) -> None:
    """A newborn known by the hospital's own number only gets a Patient; a reading with no number at all waits, and so does one with
    an archive number of 8 digits whose village has no prefix configured."""
    newborn: Fields = {"患者号": "P900001", "姓名": "赵新生", "性别": "2", "出生日期": "2026-06-01"}
    found.personas[STRANGER + 1] = ("赵新生", frozenset({(f"{AUTHORITY}people-his/ids/patient", "P900001")}))
    found.facts.append(_seen(scene, "390121001", "MZ2026900005", datetime(2026, 6, 2, 8), newborn, STRANGER + 1))
    someone = scene.pick(lambda r: r.village[6:9] == "101")
    nobody = _reading(scene, someone, "WM0001", datetime(2026, 2, 3, 9), 收缩压="132", 舒张压="84")
    found.hold(_without(nobody, "身份证号", "健康档案编号"), "no-person-number")
    villager = scene.pick(lambda r: r.village == "390121103103")
    if villager.village == "390121103103":
        short = _reading(scene, villager, "WM0002", datetime(2026, 2, 4, 9), 收缩压="128", 舒张压="80")
        found.hold(_without(short, "身份证号"), "no-person-number")


def _without(fact: Fact, *fields: str) -> Fact:
    kept = {name: value for name, value in fact.fields.items() if name not in fields}
    return Fact(fact.dataset, fact.institution, fact.stamp, kept, fact.resident, fact.source)


def _codes(scene: _Scene, found: Dangers) -> None:
    """A visit whose state is a code that nobody knows: the status cannot be guessed, so the record waits."""
    someone = scene.pick(lambda r: r.card != "")
    fact = _seen(scene, "390121002", "MZ2026900006", datetime(2026, 1, 15, 9), person_fields(someone) | {"就诊状态": "Q"}, someone.number)
    found.hold(fact, "unknown-code")


def _restated(report: Fact, minutes: int, state: str, values: dict[str, str]) -> Fact:
    """A later version of a laboratory report. state: 报告状态; values: item code -> value, of items that changed."""
    order = report.fields["申请"][0]
    result = {"2": "1", "3": "2", "4": "3", "8": "8"}[state]
    results = [r | {"结果状态": result, "结果值": "" if state == "8" else values.get(r["项目代码"], r["结果值"])} for r in order["结果"]]
    return newer(report, minutes, 申请=[order | {"报告状态": state, "结果": results}])


def _laboratory(scene: _Scene, found: Dangers) -> None:
    """Preliminary, final, corrected and cancelled; and a value that goes A, B and back to A."""
    plain = [f for f in found.facts if f.source in ("people-lis", "chinese-lis") and record_key(f) not in found.withheld]
    chosen = scene.chance.sample(plain, min(len(plain), max(3, len(plain) // 25)))
    for n, report in enumerate(chosen):
        item = report.fields["申请"][0]["结果"][0]
        there, back = {item["项目代码"]: item["结果值"]}, {item["项目代码"]: f"{float(item['结果值']) * 1.25:.2f}"}
        match n % 3:
            case 0:
                found.facts += [_restated(report, -45, "2", back), _restated(report, 60, "4", back)]
                found.followed.setdefault("corrected", report)
            case 1:
                found.facts += [_restated(report, 60, "4", back), _restated(report, 120, "4", there)]
            case _:
                found.facts.append(_restated(report, 90, "8", {}))


def _prescriptions(scene: _Scene, found: Dangers) -> None:
    """Some prescriptions are voided (作废) or stopped after they were sent."""
    for n, fact in enumerate([f for f in found.facts if f.dataset == "prescription"][::40]):
        found.facts.append(newer(fact, 35, 处方状态="9" if n % 2 == 0 else "4"))


def _profiles(scene: _Scene, found: Dangers) -> None:
    """An address that moves away and back (A, B, A), each under a newer stamp."""
    for fact in [f for f in found.facts if f.dataset == "resident_profile"][::60]:
        minutes = 60 * 24
        found.facts += [newer(fact, minutes, 现住址="云溪县新城路1号"), newer(fact, 2 * minutes)]


def _story(scene: _Scene, found: Dangers) -> None:
    """186/112 at a village post, and the referral that the township writes the same day."""
    someone = scene.pick(lambda r: r.hypertension and r.card != "" and r.village[6:9] in ("101", "102"))
    at = datetime(2026, 6, 22, 8, 20)
    reading = _reading(scene, someone, "WX1001", at, 收缩压="186", 舒张压="112", 脉率="92")
    form = referral(scene.county, someone, at + timedelta(hours=2), "ZZ202600900", "村卫生室测血压 186/112mmHg, 伴头晕, 请进一步诊治")
    source = "sandriver-referrals" if form.institution[6:9] == "103" else "referral-platform"
    sent = Fact(form.dataset, form.institution, form.stamp, form.fields, form.resident, source)
    found.facts += [reading, sent]
    found.followed |= {"reading": reading, "referral": sent}


def _formula_error(found: Dangers) -> None:
    """A workbook in which one cell is #N/A: that row waits, the others do not."""
    fact = _first(found, lambda f: f.source.startswith("c-visits"))
    if fact is None:
        return
    day = datetime(2026, 6, 25, 9)
    wrong = newer(fact, 0, 随访日期=day.date().isoformat(), 收缩压="#N/A", 更新时间=text_of(day))
    found.held[record_key(wrong)] = "formula-error"
    vendor = FEEDS[fact.source].vendor(fact.dataset)
    found.parcels.append(Parcel(fact.source, "公式错误.xlsx", sheet(vendor, [wrong.fields])))
