"""Diagnosis codes: which edition a code is of, its parent in ICD-10 (GB/T 14396, 国家临床版 2.0, 医保版 2.0, GB/T 15657)."""

from __future__ import annotations

import re
import unicodedata

from gateway.mapping.functions import Env, Example, Fault, function

_ICD = re.compile(r"([A-Z]\d{2})(?:\.([0-9Xx])?([0-9Xx]{1,2})?([0-9Xx]{3})?)?(?:[x+]?[*†+]|x)?", re.IGNORECASE)
_EDITIONS = {
    "GB": "urn:oid:2.16.156.10011.2.3.3.11",
    "国临": "{base}/CodeSystem/icd-10-clinical-cn-2.0",
    "医保": "{base}/CodeSystem/icd-10-insurance-cn-2.0",
    "中医": "urn:oid:2.16.156.10011.2.3.3.14",
}


@function(
    "icd_system",
    gives="uri",
    env=True,
    doc="诊断编码版本(GB、国临、医保、中医)对应的编码系统",
    examples=[
        Example("国临", (), "https://y.test/fhir/CodeSystem/icd-10-clinical-cn-2.0"),
        Example("GB", (), "urn:oid:2.16.156.10011.2.3.3.11"),
        Example("ICD9", (), Fault("unknown-edition", "")),
    ],
)
def icd_system(env: Env, value: str) -> str | Fault:
    """System URI of an edition."""
    system = _EDITIONS.get(value.strip())
    if system is None:
        return Fault("unknown-edition", "诊断编码版本应为 GB、国临、医保或中医; 请在来源配置的 [codes] 或 [constants] 里写明")
    return system.replace("{base}", env.base)


@function(
    "icd_code",
    gives="code",
    doc="诊断编码归一: 首字母大写, 占位 x 小写, 去空格, 全角改半角",
    examples=[Example("i10.X00X002", (), "I10.x00x002"), Example(" E11.9 ", (), "E11.9"), Example("高血压", (), Fault("icd-form", ""))],
)
def icd_code(value: str) -> str | Fault:
    """A diagnosis code in one spelling; a GB/T 15657 code (`BNP060`) passes as it is."""
    text = "".join(unicodedata.normalize("NFKC", value).split())
    if re.fullmatch(r"[A-Z]{2,3}\d{0,3}[A-Z]?|[A-Z]\d{2}(\.\d+)+\.?", text) and not _ICD.fullmatch(text):
        return text
    if not _ICD.match(text) or not re.fullmatch(r"[A-Za-z0-9.*†+x]+", text):
        return Fault("icd-form", "诊断编码应形如 I10.x00x002 或 E11.9, 收到的不是编码; 请核对来源, 诊断名称请放在诊断名称列")
    return text[0].upper() + text[1:].replace("X", "x")


@function(
    "icd_parent",
    gives="code",
    doc="扩展码所属的 ICD-10 三位或四位类目",
    examples=[
        Example("I10.x00x002", (), "I10"),
        Example("E11.900x001", (), "E11.9"),
        Example("J18.9", (), "J18.9"),
        Example("BNP060", (), None),
    ],
)
def icd_parent(value: str) -> str | None:
    """WHO ICD-10 code a Chinese extension code belongs to; None when the code is not ICD-10."""
    text = "".join(unicodedata.normalize("NFKC", value).split())
    match = re.match(r"([A-Za-z]\d{2})(?:\.([0-9Xx]))?", text)
    if match is None:
        return None
    digit = match[2]
    return match[1].upper() + (f".{digit}" if digit and digit not in "xX" else "")
