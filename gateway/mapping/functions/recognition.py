"""The mark of mutual recognition, `HR`, before a report or an item (国卫医发〔2022〕6号): 全国HR, 京津冀HR, 【全国HR】血糖, 本省 HR, ★."""

from __future__ import annotations

import re
import unicodedata

from gateway.mapping.functions import Example, Fault, function

_MARK = re.compile(r"[\[【(]?\s*(?P<scope>[^\s【】\[\]()A-Za-z★]{1,20})?\s*HR\s*[\]】)]?", re.IGNORECASE)

_HINT = re.compile("[HhＨｈ]")


@function(
    "mark_scope",
    gives="string",
    doc="互认标识的互认范围(全国、京津冀、本省 ...)",
    examples=[
        Example("全国HR", (), "全国"),
        Example("【全国HR】葡萄糖", (), "全国"),
        Example("赤峰 HR", (), "赤峰"),
        Example("本省HR", (), "本省"),
        Example("HR", (), Fault("recognition-scope-missing", "")),
        Example("★", (), Fault("recognition-scope-missing", "")),
        Example("互认", (), Fault("recognition-mark-form", "")),
    ],
)
def mark_scope(value: str) -> str | Fault:
    """The scope before HR. `本省` and `本市` are relative to the issuing organisation and stay as written."""
    text = unicodedata.normalize("NFKC", value).strip()
    match = _MARK.search(text)
    if match is None and "★" not in text:
        return Fault("recognition-mark-form", "互认标识应写作“互认范围+HR”(如 全国HR), 请核对来源")
    scope = match["scope"] if match else None
    if not scope:
        return Fault("recognition-scope-missing", "互认标识没有写互认范围, 不能判断在哪里互认; 应写作“全国HR”一类, 请来源机构补写")
    return scope


@function(
    "unmarked",
    gives="string",
    doc="项目名称, 去掉前面的互认标识",
    examples=[
        Example("【全国HR】葡萄糖", (), "葡萄糖"),
        Example("★肌酐", (), "肌酐"),
        Example("全国HR 尿素", (), "尿素"),
        Example("HRV变异", (), "HRV变异"),
    ],
)
def unmarked(value: str) -> str:
    """The item's name without its mark."""
    text = value.strip().lstrip("★").strip()
    if not _HINT.search(text):
        return text
    match = _MARK.match(unicodedata.normalize("NFKC", text))
    if match is None or not (match["scope"] or text[0] in "【[(（"):
        return text
    return text[match.end() :].strip() or text
