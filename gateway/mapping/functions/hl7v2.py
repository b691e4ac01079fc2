"""HL7 v2 data types -> FHIR data types: coded values, observation values, names, units (HL7 v2-to-FHIR, Data Type maps).

They take the whole composite (components by number, the text as sent under "") because what one component means depends on others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.fhir.ucum import Units
from gateway.identity.numbers import person_number
from gateway.mapping.functions import Choice, Env, Example, Fault, function
from gateway.mapping.functions.dates import date_time, time
from gateway.mapping.functions.numerals import plain_number
from gateway.mapping.functions.quantity import MMOL, measured
from gateway.mapping.functions.results import result

SYSTEMS = {
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNM": "http://snomed.info/sct",
    "UCUM": "http://unitsofmeasure.org",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "ICD-10": "http://hl7.org/fhir/sid/icd-10",
}
"""HL7 table 0396, the part that a FHIR system is known for; HL7nnnn goes to its v2 code system, all else is the sender's own."""

_V2_TABLE = re.compile(r"HL7(\d{4})")
_OID = re.compile(r"[0-2](\.\d+)+")
_LOINC = re.compile(r"(\d{1,7})-(\d)")


def _loinc_holds(code: str) -> bool:
    """Whether the check digit (Luhn) of a LOINC code is right."""
    match = _LOINC.fullmatch(code)
    if match is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(match[1])):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return (10 - total % 10) % 10 == int(match[2])


def _coding(value: dict[str, str], at: int, env: Env) -> tuple[dict[str, str] | None, Fault | None]:
    """The Coding of components at, at + 1, at + 2; a note when the system named is not that of the code."""
    code = value.get(str(at), "")
    if not code:
        return None, None
    display, name = value.get(str(at + 1), ""), value.get(str(at + 2), "")
    fault = None
    system = SYSTEMS.get(name.upper())
    if system is None and (match := _V2_TABLE.fullmatch(name)):
        system = f"http://terminology.hl7.org/CodeSystem/v2-{match[1]}"
    if system == SYSTEMS["LN"] and not _loinc_holds(code):
        text = f"编码体系写的是 LN(LOINC), 但 {code} 不是 LOINC 编码(应为 数字-校验位), 已按本院编码保留; 请对方改正第 {at + 2} 组件"
        system, fault = None, Fault("wrong-code-system", text, "note")
    coding = {"system": system or f"{env.authority}/codes/{name or 'L'}", "code": code}
    if display:
        coding["display"] = display
    return coding, fault


@function(
    "v2_concept",
    takes="any",
    gives="CodeableConcept",
    doc="HL7 v2 的 CE/CWE: 两组编码和文字; 本院编码留在来源自己的编码体系里",
    env=True,
    examples=[
        Example(
            {"": "6690-2^WBC^LN", "1": "6690-2", "2": "WBC", "3": "LN"},
            (),
            {"coding": [{"system": "http://loinc.org", "code": "6690-2", "display": "WBC"}], "text": "WBC"},
        ),
        Example(
            {"": "Y^是^HL70136", "1": "Y", "2": "是", "3": "HL70136"},
            (),
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0136", "code": "Y", "display": "是"}], "text": "是"},
        ),
        Example({"": "WBC^白细胞^LN", "1": "WBC", "2": "白细胞", "3": "LN"}, (), Fault("wrong-code-system", "")),
        Example({"": "^发热", "2": "发热"}, (), {"text": "发热"}),
    ],
)
def v2_concept(env: Env, value: Any) -> dict[str, Any] | Fault:
    """CodeableConcept of a coded composite; of the first where it repeats."""
    parts = _first(value)
    coding, fault = _coding(parts, 1, env)
    other, second = _coding(parts, 4, env)
    concept: dict[str, Any] = {"coding": [c for c in (coding, other) if c]} if coding or other else {}
    if text := parts.get("9") or parts.get("2") or parts.get("5") or ("" if concept else parts.get("", "")):
        concept["text"] = text
    trouble = fault or second
    return concept if trouble is None else Fault(trouble.code, trouble.message, "note", concept)


@function(
    "v2_unit",
    takes="any",
    gives="text",
    doc="HL7 v2 的单位(OBX-6): 代码或原文; `10^9/L` 没有转义时也认得",
    examples=[
        Example({"": "mmol/L^^UCUM", "1": "mmol/L", "3": "UCUM"}, (), "mmol/L"),
        Example({"": "10^9/L", "1": "10", "2": "9/L"}, (), "10^9/L"),
        Example({"": "^umol/L", "2": "umol/L"}, (), "umol/L"),
    ],
)
def v2_unit(value: Any) -> str | None:
    """The printed unit; a caret that was not escaped is part of it."""
    parts = _first(value)
    code = parts.get("1", "")
    if code.lstrip("×x*").strip() == "10" and parts.get("2", "")[:1].isdigit() and "3" not in parts:
        return parts[""]
    return code or parts.get("2") or None


@function(
    "v2_name",
    takes="any",
    gives="HumanName",
    doc="HL7 v2 的姓名(XPN): 姓、名、全名; 姓名写在一个组件里也认得",
    examples=[
        Example({"": "张^三", "1": "张", "2": "三"}, (), {"text": "张三", "family": "张", "given": ["三"]}),
        Example({"": "欧阳小芳", "1": "欧阳小芳"}, (), {"text": "欧阳小芳"}),
        Example({"": "Li^Si^^^^^L", "1": "Li", "2": "Si", "7": "L"}, (), {"use": "official", "text": "Si Li", "family": "Li", "given": ["Si"]}),
    ],
)
def v2_name(value: Any) -> dict[str, Any] | None:
    """HumanName; a Chinese name is written together and is split only where the sender split it."""
    parts = _first(value)
    family, given, middle = parts.get("1.1", parts.get("1", "")), parts.get("2", ""), parts.get("3", "")
    chinese = any("\u3400" <= c <= "\u9fff" or ord(c) > 0x1FFFF for c in family + given)
    text = family + given + middle if chinese else " ".join(p for p in (parts.get("5", ""), given, middle, family, parts.get("4", "")) if p)
    if not text:
        return None
    name: dict[str, Any] = {"text": text}
    if use := {"L": "official", "D": "usual", "N": "nickname", "M": "maiden", "S": "anonymous", "T": "temp"}.get(parts.get("7", "")):
        name = {"use": use, **name}
    if given or not chinese:
        name |= {"family": family} if family else {}
        name |= {"given": [g for g in (given, middle) if g]} if given else {}
    return name


@function(
    "v2_system",
    takes="any",
    gives="uri",
    doc="HL7 v2 的号码(CX)属于哪个编号系统: 身份证、OID, 否则是来源自己的",
    env=True,
    examples=[
        Example({"": "x^^^&1.2.3&ISO", "1": "x", "4.2": "1.2.3"}, (), "urn:oid:1.2.3"),
        Example({"": "11010519491231002X^^^^NI", "1": "11010519491231002X", "5": "NI"}, (), "urn:oid:2.16.156.10011.1.3"),
    ],
)
def v2_system(env: Env, value: Any) -> str:
    """Identifier.system of a CX, the same that `person(...)` gives the number."""
    parts = _first(value)
    if parts.get("5") == "NI" and (number := person_number("居民身份证", parts.get("1", ""))[0]) is not None:
        return number.system
    assigner = parts.get("4.2") or parts.get("4.1") or parts.get("4") or ""
    if _OID.fullmatch(assigner):
        return f"urn:oid:{assigner}"
    return f"{env.authority}/ids/{assigner}" if assigner else f"{env.authority}/ids"


@function(
    "v2_person",
    takes="any",
    gives="text",
    doc="HL7 v2 的人员(XCN): 姓名, 没有姓名时是工号",
    examples=[
        Example([{"": "D01^王^医生", "1": "D01", "2": "王", "3": "医生"}], (), "王医生"),
        Example([{"": "D01", "1": "D01"}], (), "D01"),
        Example([{"": "^李医生", "2": "李医生"}], (), "李医生"),
    ],
)
def v2_person(value: Any) -> str | None:
    """How the sender names a member of staff."""
    parts = _first(value)
    name = v2_name({"1": parts.get("2.1", parts.get("2", "")), "2": parts.get("3", "")})
    return name["text"] if name else parts.get("1")


@function(
    "v2_lines",
    takes="any",
    gives="string",
    doc="HL7 v2 的多行文字(NTE-3、FT): 各次重复各成一行",
    examples=[Example(["标本溶血", "请结合临床"], (), "标本溶血\n请结合临床"), Example("标本溶血", (), "标本溶血")],
)
def v2_lines(value: Any) -> str:
    """All repetitions, a line each."""
    return value if isinstance(value, str) else "\n".join(value)


@function(
    "v2_value",
    takes="any",
    args=("any", "any"),
    optional=1,
    gives="choice",
    doc="HL7 v2 的结果值(OBX-5): 类型由 OBX-2 决定, 单位由 OBX-6 给出",
    env=True,
    examples=[
        Example([{"": "5.60", "1": "5.60"}], ("NM", {"": "mmol/L", "1": "mmol/L"}), Choice("Quantity", {"value": Decimal("5.60"), **MMOL})),
        Example(
            [{"": ">^28.4", "1": ">", "2": "28.4"}],
            ("SN", {"": "mmol/L", "1": "mmol/L"}),
            Choice("Quantity", {"value": Decimal("28.4"), "comparator": ">", **MMOL}),
        ),
        Example(
            [{"": "^1^:^80", "2": "1", "3": ":", "4": "80"}],
            ("SN", None),
            Choice("Ratio", {"numerator": {"value": Decimal("1")}, "denominator": {"value": Decimal("80")}}),
        ),
        Example(
            [{"": "10828004^阳性^SCT", "1": "10828004", "2": "阳性", "3": "SCT"}],
            ("CE", None),
            Choice("CodeableConcept", {"coding": [{"system": "http://snomed.info/sct", "code": "10828004", "display": "阳性"}], "text": "阳性"}),
        ),
        Example([{"": "第一行"}, {"": "第二行"}], ("TX", None), Choice("string", "第一行\n第二行")),
        Example([{"": "20260131"}], ("DT", None), Choice("dateTime", "2026-01-31")),
        Example([{"": "^application^pdf^Base64^JVBERi0="}], ("ED", None), Fault("encapsulated-data", "")),
    ],
)
def v2_value(env: Env, value: Any, kind: Any, unit: Any = None) -> Choice | Fault | None:
    """Observation.value[x] of one OBX."""
    parts = value if isinstance(value, list) else [value]
    named = str(kind or "").upper()
    shown = v2_unit(unit) if unit else None
    if named in _ENCAPSULATED:
        text = f"结果值是内嵌文件(OBX-2={named}), 未写入结果; 文件仍在原始报文里, 请在需要时由影像或文档接口上传"
        return Fault("encapsulated-data", text, "drop")
    if named == "SN":
        return _structured(env, _first(parts), shown)
    if reader := _READERS.get(named):
        return reader(env, parts)
    text = parts[0].get("", "") if len(parts) == 1 else "~".join(p.get("", "") for p in parts)
    if named == "NM" and (number := _number(text, shown, env.units)) is not None:
        return number
    found: Choice | Fault | None = result(env, text, shown)  # printed results: `>28.4`, `阴性(-)`, `1:80`, `3.3~6.1`
    return found


@lru_cache(maxsize=8192)
def _number(text: str, unit: str | None, units: Units) -> Choice | Fault | None:
    """The Quantity of a plain number with its printed unit; None when the text is no number. Nobody changes what it gave."""
    number = plain_number(text)
    if number is None:
        return None
    quantity = measured("", number, "", unit, units)
    return quantity if isinstance(quantity, Fault) and quantity.value is None else _as_choice(quantity)


_ENCAPSULATED = frozenset({"ED", "RP"})


def _as_choice(quantity: dict[str, Any] | Fault) -> Choice | Fault:
    if isinstance(quantity, Fault):
        return Fault(quantity.code, quantity.message, quantity.severity, Choice("Quantity", quantity.value))
    return Choice("Quantity", quantity)


def _first(value: Any) -> dict[str, str]:
    """The first repetition of a composite; plain text counts as its first component."""
    if isinstance(value, list):
        value = value[0] if value else {}
    return {"": value, "1": value} if isinstance(value, str) else value


def _concept(env: Env, parts: list[dict[str, str]]) -> Choice | Fault:
    concept = v2_concept(env, parts)
    if isinstance(concept, Fault):
        return Fault(concept.code, concept.message, concept.severity, Choice("CodeableConcept", concept.value))
    return Choice("CodeableConcept", concept)


def _text(env: Env, parts: list[dict[str, str]]) -> Choice:
    return Choice("string", "\n".join(p.get("", "") for p in parts))


def _moment(env: Env, parts: list[dict[str, str]]) -> Choice | Fault:
    found = date_time(env, parts[0].get("1", parts[0].get("", "")))
    return found if isinstance(found, Fault) else Choice("dateTime", found)


def _clock(env: Env, parts: list[dict[str, str]]) -> Choice | Fault:
    found = time(parts[0].get("", ""))
    return found if isinstance(found, Fault) else Choice("time", found)


_READERS: dict[str, Callable[[Env, list[dict[str, str]]], Choice | Fault]] = {
    "CE": _concept,
    "CWE": _concept,
    "CNE": _concept,
    "IS": _text,
    "ID": _text,
    "TX": _text,
    "FT": _text,
    "DT": _moment,
    "TS": _moment,
    "DTM": _moment,
    "TM": _clock,
}


def _structured(env: Env, value: dict[str, str], unit: str | None) -> Choice | Fault:
    """SN: comparator, number, separator, number."""
    first, second = plain_number(value.get("2", "")), plain_number(value.get("4", ""))
    comparator, separator = value.get("1", ""), value.get("3", "")
    if first is None:
        return Choice("string", value.get("", ""))
    low = measured("" if comparator == "=" else comparator, first, "", unit, env.units)
    if second is None or not separator:
        return _as_choice(low) if not separator else Choice("string", value.get("", "").replace("^", ""))
    if separator in (":", "/"):
        return Choice("Ratio", {"numerator": {"value": first}, "denominator": {"value": second}})
    high = measured("", second, "", unit, env.units)
    if separator == "-" and isinstance(low, dict) and isinstance(high, dict):
        return Choice("Range", {"low": low, "high": high})
    return Choice("string", value.get("", "").replace("^", ""))
