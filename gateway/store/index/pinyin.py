"""How Chinese names sound, for `name:pinyin` (docs/api.md): `欧阳澄` is found by `ouyangcheng`, `ou yang`, `oyc`.

Readings are pypinyin's most common one of each character; a surname has its own (曾 is zeng, 单 is shan).
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["asked", "sounds"]

SURNAMES = {
    "曾": "zeng", "仇": "qiu", "解": "xie", "单": "shan", "區": "ou", "区": "ou", "朴": "piao", "查": "zha", "盖": "ge", "覃": "qin", "缪": "miao",
    "繁": "po", "员": "yun", "贠": "yun", "折": "she", "黑": "he", "任": "ren", "宁": "ning", "纪": "ji", "洗": "xian", "冼": "xian", "乐": "yue",
    "牟": "mou", "翟": "zhai", "召": "shao", "种": "chong", "秘": "bi", "能": "nai", "祭": "zhai", "都": "du", "隗": "wei", "车": "che", "褚": "chu",
    "句": "gou", "盛": "sheng", "石": "shi", "尹": "yin", "卜": "bu", "柏": "bai", "葛": "ge", "万": "wan", "尉": "wei", "訾": "zi", "哈": "ha",
    "阚": "kan", "臧": "zang", "谌": "chen", "郗": "xi", "晁": "chao", "逄": "pang", "佴": "nai", "呙": "guo", "乜": "nie", "粘": "nian",
    "尉迟": "yu chi", "万俟": "mo qi", "长孙": "zhang sun", "澹台": "tan tai", "单于": "chan yu", "夏侯": "xia hou", "欧阳": "ou yang",
    "司徒": "si tu", "司马": "si ma", "上官": "shang guan", "诸葛": "zhu ge", "令狐": "ling hu", "宇文": "yu wen", "皇甫": "huang fu",
    "慕容": "mu rong", "轩辕": "xuan yuan", "东方": "dong fang", "公孙": "gong sun", "端木": "duan mu", "百里": "bai li", "呼延": "hu yan",
    "南宫": "nan gong", "独孤": "du gu", "闻人": "wen ren", "赫连": "he lian", "拓跋": "tuo ba", "鲜于": "xian yu", "闾丘": "lv qiu",
}  # fmt: skip
"""Readings of surnames, simplified; those that differ from the character's usual one, and the double ones."""
LONGEST_NAME = 30
"""Characters; what is longer is no name of a person."""


@lru_cache(maxsize=8192)
def sounds(name: str, given: bool = False) -> tuple[str, ...]:
    """Full reading and initials of a name that has Han characters: ("ouyangcheng", "oyc"); nothing for others. given: it has no surname."""
    if len(name) > LONGEST_NAME or name.isascii():
        return ()
    syllables = list(_syllables("".join(name.split()), given))
    if not syllables:
        return ()
    return tuple(dict.fromkeys(("".join(syllables), "".join(s[0] for s in syllables))))


def _syllables(name: str, given: bool) -> Iterator[str]:
    """One for each character; none at all when one of them is no Han character."""
    surname = next((name[:n] for n in (2, 1) if name[:n] in SURNAMES), "") if not given else ""
    readings = [_reading(c) for c in name[len(surname) :]]
    if all(readings):
        yield from SURNAMES[surname].split() if surname else ()
        yield from readings


@lru_cache(maxsize=4096)
def _reading(character: str) -> str:
    """The most common reading without tone, `v` for ü; "" for what is no Han character."""
    return _letters(_readings().get(ord(character), "").partition(",")[0])


@lru_cache(maxsize=1)
def _readings() -> dict[int, str]:
    # names need no phrases, which would take 50 MB; the package reads this once, when it is imported
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")
    from pypinyin.pinyin_dict import pinyin_dict

    return pinyin_dict


def asked(text: str) -> str:
    """What a caller types, as readings are kept: without blanks, marks and tones; `v` for ü."""
    return _letters(unicodedata.normalize("NFKC", text).casefold())


def _letters(text: str) -> str:
    apart = unicodedata.normalize("NFD", text).replace("u\u0308", "v")
    return "".join(c for c in apart if "a" <= c <= "z")
