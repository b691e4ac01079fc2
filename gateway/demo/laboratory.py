"""Laboratory reports as business facts: what each laboratory of the county measured, with its own item codes and true values.

A fact's fields are the form 检验报告 (dataset laboratory_report): report number, order, specimen, results; item and panel codes are those of
the laboratory, because a result's business key holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from gateway.demo.county import County
from gateway.demo.life import YEAR, Fact, person_fields, text_of
from gateway.demo.people import Resident
from gateway.record import Fields

__all__ = ["LABORATORIES", "Laboratory", "Test", "reports"]


@dataclass(frozen=True, slots=True)
class Test:
    """One item of a panel. unit: as printed; ucum: what the unit is in UCUM; mean, spread: of the values; digits: after the point;
    low, high: reference range."""

    code: str
    name: str
    loinc: str
    unit: str
    ucum: str
    mean: float
    spread: float
    digits: int
    low: str
    high: str

    def measure(self, chance: Random, shift: float = 0.0) -> str:
        """A value with the precision that the instrument prints."""
        return f"{max(self.mean * 0.3, chance.gauss(self.mean + shift, self.spread)):.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A laboratory, the feed that carries its reports, the prefix of its numbers, and its panels by (code, name)."""

    source: str
    institution: str
    prefix: str
    panels: tuple[tuple[str, str, tuple[Test, ...]], ...]
    share: float = 1.0
    """How many reports it makes, beside the others."""


_KNOWN: dict[str, tuple[str, str, str, str, float, float, int, str, str]] = {
    "glucose": ("葡萄糖", "14749-6", "mmol/L", "mmol/L", 5.6, 0.9, 2, "3.90", "6.10"),
    "creatinine": ("肌酐", "14682-9", "μmol/L", "umol/L", 76.0, 12.0, 1, "44.0", "133.0"),
    "urate": ("尿酸", "14933-6", "μmol/L", "umol/L", 330.0, 60.0, 0, "155", "428"),
    "urea": ("尿素", "22664-7", "mmol/L", "mmol/L", 5.4, 1.1, 2, "2.80", "7.60"),
    "alt": ("谷丙转氨酶", "1742-6", "U/L", "U/L", 25.0, 8.0, 0, "9", "50"),
    "ast": ("谷草转氨酶", "1920-8", "U/L", "U/L", 24.0, 7.0, 0, "15", "40"),
    "cholesterol": ("总胆固醇", "14647-2", "mmol/L", "mmol/L", 4.9, 0.8, 2, "2.80", "5.70"),
    "triglyceride": ("甘油三酯", "14927-8", "mmol/L", "mmol/L", 1.5, 0.5, 2, "0.56", "1.70"),
    "wbc": ("白细胞计数", "6690-2", "10^9/L", "10*9/L", 6.4, 1.2, 2, "3.50", "9.50"),
    "rbc": ("红细胞计数", "789-8", "10^12/L", "10*12/L", 4.6, 0.4, 2, "3.80", "5.80"),
    "hgb": ("血红蛋白", "718-7", "g/L", "g/L", 138.0, 12.0, 0, "115", "175"),
    "plt": ("血小板计数", "777-3", "10^9/L", "10*9/L", 220.0, 40.0, 0, "125", "350"),
    "fpg": ("空腹血糖", "14771-0", "mmol/L", "mmol/L", 6.1, 0.9, 2, "3.90", "6.10"),
    "hba1c": ("糖化血红蛋白", "4548-4", "%", "%", 6.3, 0.8, 1, "4.0", "6.0"),
    "hdl": ("高密度脂蛋白胆固醇", "14646-4", "mmol/L", "mmol/L", 1.3, 0.2, 2, "1.04", "1.55"),
    "ldl": ("低密度脂蛋白胆固醇", "22748-8", "mmol/L", "mmol/L", 2.9, 0.6, 2, "2.07", "3.37"),
}
"""What is measured -> name, LOINC, unit as printed, unit in UCUM, mean, spread, digits, reference range."""


def _tests(**codes: str) -> tuple[Test, ...]:
    """Items by what they measure, with the code that this laboratory has for each."""
    return tuple(Test(code, *_KNOWN[key]) for key, code in codes.items())


_STANDARD = (
    ("BIO", "生化全套", _tests(glucose="GLU", creatinine="CREA", urate="UA", urea="UREA", alt="ALT", ast="AST")),
    ("CBC", "血常规", _tests(wbc="WBC", rbc="RBC", hgb="HGB", plt="PLT")),
)
LABORATORIES = (
    Laboratory("people-lis", "390121001", "R", _STANDARD, 4.0),
    Laboratory("chinese-lis", "390121002", "Z", _STANDARD, 2.0),
    Laboratory("chinese-analyser", "390121002", "", (("M", "BS-200", _tests(alt="1", glucose="2", urea="3", creatinine="4", urate="5")),), 1.0),
    Laboratory("people-documents", "390121001", "D", (("", "生化", _tests(fpg="14771-0", cholesterol="14647-2", hba1c="4548-4")),), 0.4),
    Laboratory(
        "chinese-documents", "390121002", "XK", (("XZ", "血脂四项", _tests(cholesterol="X03", triglyceride="X04", hdl="X05", ldl="X06")),), 0.3
    ),
    Laboratory(
        "centre-lis",
        "390121101002",
        "Y",
        (("XZ4", "血脂四项", _tests(cholesterol="TC", triglyceride="TG", hdl="HDL", ldl="LDL")), ("FPG", "空腹血糖", _tests(fpg="GLU"))),
        1.0,
    ),
    Laboratory("lakeside-lis", "390121102001", "A", (("S03", "肾功能", _tests(creatinine="1002", urea="1003", urate="1004")),), 1.0),
)
"""`people-documents` and `chinese-documents`: tests that are reported as WS/T 500 documents only."""


def reports(county: County, residents: Sequence[Resident], chance: Random, start: date, count: int) -> Iterator[Fact]:
    """About `count` final reports of residents with a card, spread over the laboratories and the year."""
    carded = [r for r in residents if r.card]
    total = sum(lab.share for lab in LABORATORIES)
    for lab in LABORATORIES:
        doctors, technicians = county.of_kind(lab.institution, "1"), county.of_kind(lab.institution, "4")
        for number in range(1, max(3, round(count * lab.share / total)) + 1):
            at = datetime.combine(start + timedelta(days=chance.randrange(YEAR)), time(8)) + timedelta(minutes=chance.randrange(360))
            resident = chance.choice(carded)
            code, name, tests = chance.choice(lab.panels)
            results = [result(test, test.measure(chance)) for test in tests]
            names = {"申请医师工号": doctors[number % len(doctors)].number, "申请医师姓名": doctors[number % len(doctors)].name}
            checks = {"检验医师工号": technicians[0].number, "检验医师姓名": technicians[0].name}
            order: Fields = _order(lab, number, at) | {"申请项目代码": code, "申请项目名称": name, "报告状态": "3"} | names | checks
            fields = {"机构代码": lab.institution, "机构名称": county.institutions[lab.institution].name, "报告单号": _report(lab, number, at)}
            done = at + timedelta(hours=2)
            fields |= person_fields(resident) | {"更新时间": text_of(done), "申请": [order | {"结果": results}]}
            yield Fact("laboratory_report", lab.institution, done, fields, resident.number, lab.source)


def result(test: Test, value: str, state: str = "2") -> Fields:
    """One result as the form has it; state: 结果状态, 2 final."""
    fields = {
        "项目代码": test.code,
        "项目名称": test.name,
        "结果值": value,
        "单位": test.unit,
        "参考范围": f"{test.low}~{test.high}",
        "结果状态": state,
    }
    return fields | {"检验项目LOINC": test.loinc, "UCUM": test.ucum}


def _report(lab: Laboratory, number: int, at: datetime) -> str:
    """Report numbers; an analyser counts its samples anew every day, so its number has the day before it."""
    return f"{at:%Y%m%d}-{number}" if not lab.prefix else f"{lab.prefix}{at:%Y}{number:06}"


def _order(lab: Laboratory, number: int, at: datetime) -> Fields:
    """Order and specimen with their times."""
    own = f"{at:%Y%m%d}-{number}"
    numbers = (
        {"申请单号": own, "标本条码": own} if not lab.prefix else {"申请单号": f"P{lab.prefix}{number:06}", "标本条码": f"B{lab.prefix}{number:06}"}
    )
    times = {"申请时间": at - timedelta(minutes=30), "采集时间": at, "接收时间": at + timedelta(minutes=20), "报告时间": at + timedelta(hours=2)}
    return numbers | {name: text_of(moment) for name, moment in times.items()} | {"标本类别": "02"}
