"""Names of people: surname and given name of a Chinese name, text of an HL7 XPN."""

from __future__ import annotations

from typing import Any

from gateway.mapping.functions import Example, function

COMPOUND = frozenset(
    "欧阳 司马 诸葛 上官 皇甫 令狐 东方 尉迟 公孙 慕容 夏侯 司徒 轩辕 端木 百里 南宫 西门 独孤 呼延 宇文 长孙 闻人 钟离 澹台 公冶 "
    "宗政 濮阳 淳于 单于 太叔 申屠 仲孙 司空 鲜于 闾丘 亓官 司寇 颛孙 漆雕 公西 乐正 壤驷 拓跋 夹谷 谷梁 段干 东郭 南门 羊舌 微生 左丘 第五".split()
)
_DOTS = "·•・‧"


def _clean(name: str) -> str:
    return "".join(name.split()) if any("\u4e00" <= c <= "\u9fff" for c in name) else " ".join(name.split())


def parts(name: str) -> tuple[str, str]:
    """(surname, given name). A name with a middle dot (少数民族、译名) or in Latin letters has no surname to tell: ("", name)."""
    text = _clean(name)
    if not text or any(d in text for d in _DOTS) or not all("\u3400" <= c <= "\u9fff" or ord(c) > 0xFFFF or c == "〇" for c in text):
        return "", text
    size = 2 if len(text) > 2 and text[:2] in COMPOUND else 1
    return text[:size], text[size:]


@function(
    "surname",
    gives="string",
    doc="姓(认得复姓); 带间隔点的名字或外文名没有姓",
    examples=[Example("欧阳小村", (), "欧阳"), Example("王 芳", (), "王"), Example("单于", (), "单"), Example("阿不都·热西提", (), None)],
)
def surname(value: str) -> str | None:
    """Surname of a Chinese name."""
    return parts(value)[0] or None


@function(
    "given_name",
    gives="string",
    doc="名",
    examples=[Example("欧阳小村", (), "小村"), Example("王芳", (), "芳"), Example("王", (), None), Example("阿不都·热西提", (), "阿不都·热西提")],
)
def given_name(value: str) -> str | None:
    """Given name of a Chinese name."""
    return parts(value)[1] or None


@function(
    "human_name",
    gives="HumanName",
    doc="姓名: 全文、姓、名",
    examples=[
        Example("诸葛 明", (), {"text": "诸葛明", "family": "诸葛", "given": ["明"]}),
        Example("阿不都·热西提", (), {"text": "阿不都·热西提", "given": ["阿不都·热西提"]}),
        Example("John Smith", (), {"text": "John Smith"}),
    ],
)
def human_name(value: str) -> dict[str, Any]:
    """HumanName with text and what can be told of family and given."""
    family, given = parts(value)
    name: dict[str, Any] = {"text": _clean(value)}
    if family:
        name["family"] = family
    if given and not given.isascii():
        name["given"] = [given]
    return name


@function(
    "xpn_text",
    takes="any",
    gives="string",
    doc="HL7 XPN 姓名的全文: 中文姓名连写, 外文加空格",
    examples=[
        Example({"": "王^芳", "1": "王", "2": "芳"}, (), "王芳"),
        Example({"1": "王芳"}, (), "王芳"),
        Example({"1": "SMITH", "2": "JOHN", "3": "A"}, (), "SMITH JOHN A"),
        Example("李四", (), "李四"),
        Example({"7": "L"}, (), None),
    ],
)
def xpn_text(value: Any) -> str | None:
    """Whole name of an HL7 v2 XPN composite (components 1 family, 2 given, 3 further), or of text."""
    if isinstance(value, str):
        return _clean(value) or None
    words = [w for w in (value.get("1") or value.get("1.1"), value.get("2"), value.get("3")) if w]
    joined = " ".join(words)
    return _clean(joined) or None
