"""Laboratory results as a LIS prints them -> value[x]: Quantity, comparator, Ratio, Range, CodeableConcept or string.

`7.8↑` `>28.4` `<0.05` `1:80` `3.3~6.1` `阴性(-)` `±` `2+` `未检出`; anything else stays text. Arrows and letters of abnormality beside the
value become an interpretation (http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.fhir.ucum import Units
from gateway.mapping.functions import Choice, Env, Example, Fault, function
from gateway.mapping.functions.numerals import plain_number
from gateway.mapping.functions.quantity import MMOL, coded, measured, split_number

INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
LOINC = "http://loinc.org"
_FLAGS = {"↑↑": "HH", "↓↓": "LL", "↑": "H", "↓": "L", "*": "A", "(H)": "H", "(L)": "L", "(HH)": "HH", "(LL)": "LL", "高": "H", "低": "L"}
_FLAG_NAMES = {"HH": "危急高", "LL": "危急低", "H": "偏高", "L": "偏低", "A": "异常", "POS": "阳性", "NEG": "阴性"}
_SIGN = "|".join(sorted(map(re.escape, _FLAGS), key=len, reverse=True))
_FLAGGED = re.compile(rf"(?:(?P<before>{_SIGN})\s*(?P<v1>.*\d.*)|(?P<v2>.*\d.*?)\s*(?P<after>{_SIGN}|(?<=\d)\s+(?:HH|LL|H|L)))$", re.DOTALL)
_RATIO = re.compile(r"([<>]=?|[≤≥])?\s*(\d+(?:\.\d+)?)\s*[::]\s*([<>]=?|[≤≥])?\s*(\d+(?:\.\d+)?)$")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:--|~|-|—|–|至)\s*(\d+(?:\.\d+)?)\s*(\S*)$")
_MISSING = frozenset({"-", "--", "—", "/"})
_SAME = {"≤": "<=", "≥": ">="}

_ORDINALS: dict[str, tuple[str, str, str, str]] = {
    # code: (display, LOINC answer, interpretation, ways of writing)
    "negative": ("阴性", "LA6577-6", "NEG", "阴性 阴 阴性(-) (-) - - neg neg. negative 阴(-) 阴性- -阴性 (-)阴性"),
    "trace": ("±", "", "", "± (±) +- +/- (+-) 可疑(±) 弱阳性(±) trace 阳性(±)"),
    "1+": ("1+", "", "POS", "1+ +1 (1+) +(1+) 阳性(1+) + (+)"),
    "2+": ("2+", "", "POS", "2+ +2 (2+) ++(2+) 阳性(2+) ++ (++) 阳性(++)"),
    "3+": ("3+", "", "POS", "3+ +3 (3+) +++(3+) 阳性(3+) +++ (+++) 阳性(+++)"),
    "4+": ("4+", "", "POS", "4+ +4 (4+) ++++(4+) 阳性(4+) ++++ (++++) 阳性(++++)"),
    "positive": ("阳性", "LA6576-8", "POS", "阳性 阳 阳性(+) 阳(+) pos pos. positive 阳性+ (+)阳性"),
    "weak-positive": ("弱阳性", "", "POS", "弱阳性 弱阳 弱阳性(+) 弱阳性(w+)"),
    "indeterminate": ("可疑", "", "", "可疑 不确定 灰区 临界"),
    "not-detected": ("未检出", "LA11883-8", "NEG", "未检出 未查见 未见 未发现 未检测到"),
    "detected": ("检出", "LA11882-0", "POS", "检出 查见 检测到"),
}
_BY_TEXT = {way: code for code, row in _ORDINALS.items() for way in row[3].split()}


def interpretation(code: str) -> list[dict[str, Any]]:
    """Observation.interpretation of one code."""
    return [{"coding": [{"system": INTERPRETATION, "code": code}], "text": _FLAG_NAMES[code]}]


def ordinal_concept(text: str, base: str) -> tuple[dict[str, Any], str] | None:
    """(CodeableConcept, interpretation or "") of a qualitative result; None when it is none."""
    code = _BY_TEXT.get("".join(unicodedata.normalize("NFKC", text).replace("−", "-").lower().split()))
    if code is None:
        return None
    display, answer, meaning, _ = _ORDINALS[code]
    coding = [{"system": f"{base}/CodeSystem/ordinal-result", "code": code, "display": display}]
    if answer:
        coding.append({"system": LOINC, "code": answer})
    return {"coding": coding, "text": text.strip()}, meaning


def _take_flag(text: str) -> tuple[str, str]:
    """The value without the mark of abnormality, and the mark's code."""
    match = _FLAGGED.match(text)
    if match is None:
        return text, ""
    mark = (match["before"] or match["after"]).strip()
    return (match["v1"] or match["v2"]).strip(), _FLAGS.get(mark, mark)


def _ratio(text: str) -> dict[str, Any] | None:
    match = _RATIO.fullmatch(text)
    if match is None:
        return None
    below = match[1] or match[3]
    denominator: dict[str, Any] = {"value": Decimal(match[4])}
    if below:
        denominator["comparator"] = _SAME.get(below, below)
    return {"numerator": {"value": Decimal(match[2])}, "denominator": denominator}


def _range(text: str, unit: str | None, table: Units) -> dict[str, Any] | None:
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    low, high = Decimal(match[1]), Decimal(match[2])
    name = (unit or "").strip() or match[3]
    if low > high:
        return None
    plain = {"unit": name} if name else {}
    return {
        "low": (coded(low, name, table) if name else None) or {"value": low, **plain},
        "high": (coded(high, name, table) if name else None) or {"value": high, **plain},
    }


@function(
    "result",
    args=("text",),
    optional=1,
    gives="choice",
    env=True,
    memo=True,
    doc="检验结果, 按写法成为数量、比较值(>28.4)、滴度(1:80)、范围(3.3~6.1)、定性(阴性、±、2+)或文字; ↑↓另作异常标志; 参数是单位",
    examples=[
        Example("5.60", ("mmol/L",), Choice("Quantity", {"value": Decimal("5.60"), **MMOL})),
        Example(">28.4", ("mmol/L",), Choice("Quantity", {"value": Decimal("28.4"), "comparator": ">", **MMOL})),
        Example("≤0.05", ("mmol/L",), Choice("Quantity", {"value": Decimal("0.05"), "comparator": "<=", **MMOL})),
        Example(
            "7.8↑",
            ("mmol/L",),
            Choice(
                "Quantity",
                {"value": Decimal("7.8"), **MMOL},
                {"interpretation": [{"coding": [{"system": INTERPRETATION, "code": "H"}], "text": "偏高"}]},
            ),
        ),
        Example("1:80", (None,), Choice("Ratio", {"numerator": {"value": Decimal("1")}, "denominator": {"value": Decimal("80")}})),
        Example("3.3~6.1", ("mmol/L",), Choice("Range", {"low": {"value": Decimal("3.3"), **MMOL}, "high": {"value": Decimal("6.1"), **MMOL}})),
        Example(
            "阴性(-)",
            (None,),
            Choice(
                "CodeableConcept",
                {
                    "coding": [
                        {"system": "https://y.test/fhir/CodeSystem/ordinal-result", "code": "negative", "display": "阴性"},
                        {"system": "http://loinc.org", "code": "LA6577-6"},
                    ],
                    "text": "阴性(-)",
                },
                {"interpretation": [{"coding": [{"system": INTERPRETATION, "code": "NEG"}], "text": "阴性"}]},
            ),
        ),
        Example("见图文报告", (None,), Choice("string", "见图文报告")),
        Example("-", ("mmol/L",), Fault("no-result", "")),
        Example("5.6", ("某单位",), Fault("unknown-unit", "")),
        Example("101 mg/dL", ("mmol/L",), Fault("unit-contradiction", "")),
    ],
)
def result(env: Env, value: str, unit: str | None = None) -> Choice | Fault:
    """value[x] of a laboratory result. `-` is 阴性 where there is no unit, and a missing result where there is one."""
    number = plain_number(value)
    if number is not None:
        return _quantity("", number, "", unit, "", env.units)
    text, flag = _take_flag(value.strip())
    if unit and text in _MISSING:
        return Fault("no-result", "有单位的项目结果写作“-”, 按没有结果处理; 请核对是否未做或漏传")
    if not flag and (found := ordinal_concept(text, env.base)) is not None:
        concept, meaning = found
        return Choice("CodeableConcept", concept, {"interpretation": interpretation(meaning)} if meaning else {})
    extra: dict[str, Any] = {"interpretation": interpretation(flag)} if flag else {}
    plain = unicodedata.normalize("NFKC", text)
    if ratio := _ratio(plain):
        return Choice("Ratio", ratio, extra)
    if limits := _range(plain, unit, env.units):
        return Choice("Range", limits, extra)
    parts = split_number(text)
    if parts is None or (parts[2] and env.units.code(parts[2]) is None):
        return Choice("string", value.strip(), extra)
    if parts[2] and unit and env.units.code(unit) != env.units.code(parts[2]):
        return Fault("unit-contradiction", "结果后面写的单位与单位列不同, 不能确定是哪一个; 请来源系统更正其中之一")
    return _quantity(*parts, unit, flag, env.units)


def _quantity(comparator: str, number: Decimal, written: str, unit: str | None, flag: str, table: Units) -> Choice | Fault:
    extra: dict[str, Any] = {"interpretation": interpretation(flag)} if flag else {}
    found = measured(comparator, number, written, unit, table)
    if isinstance(found, Fault):
        return Fault(found.code, found.message, found.severity, Choice("Quantity", found.value, extra))
    return Choice("Quantity", found, extra)


@function(
    "result_flag",
    args=("text",),
    optional=1,
    gives="CodeableConcept",
    env=True,
    memo=True,
    doc="写在结果值旁边的异常标志(↑ ↓ 高 低 *), 定性结果的阴性、阳性; 参数是单位",
    examples=[
        Example("7.8↑", (), {"coding": [{"system": INTERPRETATION, "code": "H"}], "text": "偏高"}),
        Example("阴性(-)", (), {"coding": [{"system": INTERPRETATION, "code": "NEG"}], "text": "阴性"}),
        Example("7.8", (), None),
        Example("-", ("mmol/L",), None),
    ],
)
def result_flag(env: Env, value: str, unit: str | None = None) -> dict[str, Any] | None:
    """Interpretation that the printed result itself carries; a `-` with a unit is a missing result and says nothing."""
    if unit and value.strip() in _MISSING:
        return None
    found = ordinal_concept(value, env.base)
    code = found[1] if found is not None else _take_flag(value.strip())[1]
    concepts = interpretation(code) if code else []
    return concepts[0] if concepts else None


@function(
    "ordinal",
    gives="CodeableConcept",
    env=True,
    doc="尿试纸一类的定性结果(-、±、+、2+、阴性、阳性)",
    examples=[
        Example(
            "++",
            (),
            {"coding": [{"system": "https://y.test/fhir/CodeSystem/ordinal-result", "code": "2+", "display": "2+"}], "text": "++"},
        ),
        Example("5.6", (), Fault("not-ordinal", "")),
    ],
)
def ordinal(env: Env, value: str) -> dict[str, Any] | Fault:
    """CodeableConcept of a qualitative result."""
    found = ordinal_concept(value, env.base)
    if found is None:
        return Fault("not-ordinal", "应为定性结果(阴性、±、1+ 至 4+、阳性、未检出), 请核对来源", None)
    return found[0]


_BOUND = r"-?\d+(?:\.\d+)?"
_BETWEEN = re.compile(rf"\(?({_BOUND})\s*(?:~|--+|—+|–|-|至|to)\s*({_BOUND})\)?")
_ABOVE = re.compile(rf"(?:>=|>|≥|大于等于|大于|不低于)\s*({_BOUND})")
_BELOW = re.compile(rf"(?:<=|<|≤|小于等于|小于|不高于)\s*({_BOUND})")
_BY_SEX = re.compile(r"(男|女)性?\s*[::]?\s*([^男女;,、]+)")
_SEXES = {"1": "男", "男": "男", "male": "男", "M": "男", "2": "女", "女": "女", "female": "女", "F": "女"}


@lru_cache(maxsize=4096)
def limits(text: str, sex: str = "") -> tuple[Decimal | None, Decimal | None]:
    """(low, high) of a printed reference range; (None, None) when it has no plain limits (`-`, text, age bands, two sexes unasked)."""
    plain = unicodedata.normalize("NFKC", text).strip()
    by_sex = dict(_BY_SEX.findall(plain))
    if by_sex:
        plain = by_sex.get(_SEXES.get(sex, ""), "").strip()
    if match := _BETWEEN.match(plain):
        low, high = Decimal(match[1]), Decimal(match[2])
        return (low, high) if low <= high and not re.search(r"[岁月天]", plain) else (None, None)
    if match := _ABOVE.match(plain):
        return Decimal(match[1]), None
    if match := _BELOW.match(plain):
        return None, Decimal(match[1])
    return None, None


def _bound(number: Decimal | None, unit: str | None, table: Units) -> dict[str, Any] | None:
    if number is None:
        return None
    name = (unit or "").strip()
    return (coded(number, name, table) if name else None) or ({"value": number, "unit": name} if name else {"value": number})


@function(
    "range_low",
    args=("text", "text"),
    optional=1,
    gives="Quantity",
    env=True,
    memo=True,
    doc="参考范围的下限; 参数是单位, 按性别分列的范围另给性别",
    examples=[
        Example("3.3~6.1", ("mmol/L",), {"value": Decimal("3.3"), **MMOL}),
        Example("3.3--6.1", ("mmol/L",), {"value": Decimal("3.3"), **MMOL}),
        Example("3.9-6.10", ("mmol/L",), {"value": Decimal("3.9"), **MMOL}),
        Example("≤5.2", ("mmol/L",), None),
        Example(">1.04", ("mmol/L",), {"value": Decimal("1.04"), **MMOL}),
        Example("男:3.8-5.1;女:3.5-5.0", ("mmol/L", "2"), {"value": Decimal("3.5"), **MMOL}),
        Example("男:3.8-5.1;女:3.5-5.0", ("mmol/L",), None),
        Example("-", ("mmol/L",), None),
        Example("阴性", (None,), None),
    ],
)
def range_low(env: Env, value: str, unit: str | None, sex: str | None = None) -> dict[str, Any] | None:
    """Lower limit as a SimpleQuantity, None when the range has none."""
    return _bound(limits(value, sex or "")[0], unit, env.units)


@function(
    "range_high",
    args=("text", "text"),
    optional=1,
    gives="Quantity",
    env=True,
    memo=True,
    doc="参考范围的上限; 参数是单位, 按性别分列的范围另给性别",
    examples=[
        Example("3.3~6.1", ("mmol/L",), {"value": Decimal("6.1"), **MMOL}),
        Example("≤5.20", ("mmol/L",), {"value": Decimal("5.20"), **MMOL}),
        Example("<5.2", ("mmol/L",), {"value": Decimal("5.2"), **MMOL}),
        Example("-3~3", ("mmol/L",), {"value": Decimal("3"), **MMOL}),
        Example(">1.04", ("mmol/L",), None),
        Example("男:3.8-5.1;女:3.5-5.0", ("mmol/L", "1"), {"value": Decimal("5.1"), **MMOL}),
        Example("--", ("mmol/L",), None),
    ],
)
def range_high(env: Env, value: str, unit: str | None, sex: str | None = None) -> dict[str, Any] | None:
    """Upper limit as a SimpleQuantity, None when the range has none."""
    return _bound(limits(value, sex or "")[1], unit, env.units)
