"""Age as printed -> Age (https://hl7.org/fhir/R4/datatypes.html#Age)."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

from gateway.fhir.ucum import SYSTEM
from gateway.mapping.functions import Example, Fault, function

_AGE = re.compile(r"(\d{1,4})(?:\s*(周岁|岁|个月|月龄|月|周|天|日|小时|Y|M|D|H)(?:\s*\d{1,2}(?:个月|月|天|日))?)?", re.IGNORECASE)
_UNITS = {"周岁": "a", "岁": "a", "Y": "a", "个月": "mo", "月龄": "mo", "月": "mo", "M": "mo", "周": "wk", "天": "d", "日": "d", "D": "d"} | {
    "小时": "h",
    "H": "h",
}
_SHOWN = {"a": "岁", "mo": "月", "wk": "周", "d": "天", "h": "小时"}


@function(
    "age",
    gives="Age",
    doc="年龄; 不写单位的按岁",
    examples=[
        Example("63岁", (), {"value": Decimal("63"), "unit": "岁", "system": SYSTEM, "code": "a"}),
        Example("63", (), {"value": Decimal("63"), "unit": "岁", "system": SYSTEM, "code": "a"}),
        Example("8个月", (), {"value": Decimal("8"), "unit": "月", "system": SYSTEM, "code": "mo"}),
        Example("3岁2月", (), {"value": Decimal("3"), "unit": "岁", "system": SYSTEM, "code": "a"}),
        Example("成年", (), Fault("age-form", "")),
        Example("200岁", (), Fault("age-form", "")),
    ],
)
def age(value: str) -> dict[str, Any] | Fault:
    """Age in the largest unit written."""
    match = _AGE.fullmatch(unicodedata.normalize("NFKC", value).strip())
    code = _UNITS[(match[2] or "岁").upper()] if match else ""
    if match is None or (code == "a" and int(match[1]) > 150):
        return Fault("age-form", "年龄应写作“63岁”“8月”“15天”, 请核对来源")
    return {"value": Decimal(match[1]), "unit": _SHOWN[code], "system": SYSTEM, "code": code}
