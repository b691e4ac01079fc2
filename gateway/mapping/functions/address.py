"""Pieces of a Chinese address: province, city, county, township, village, the rest."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.mapping.functions import Example, function

_ADDRESS = re.compile(
    r"(?P<province>[^省市县区]{2,8}?(?:省|自治区|特别行政区))?"
    r"(?P<city>[^省市县区镇乡村]{2,10}?(?:自治州|地区|盟|市))?"
    r"(?P<county>[^省市镇乡村]{1,10}?(?:自治县|县|区|旗|市))?"
    r"(?P<township>[^省市县区村]{1,10}?(?:街道办事处|街道|镇|乡|苏木))?"
    r"(?P<village>[^省市县镇乡]{1,12}?(?:社区居委会|村委会|居委会|社区|嘎查|村))?"
    r"(?P<rest>.*)"
)


@lru_cache(maxsize=4096)
def pieces(address: str) -> dict[str, str]:
    """Named pieces that the text spells out, missing ones left out."""
    match = _ADDRESS.fullmatch("".join(address.split()))
    return {k: v for k, v in match.groupdict().items() if v} if match else {}


@function(
    "province",
    gives="string",
    doc="住址里的省",
    examples=[Example("示例省云泽市青禾县柳塘镇石桥村三组", (), "示例省"), Example("柳塘镇石桥村", (), None)],
)
def province(value: str) -> str | None:
    """Province as spelt."""
    return pieces(value).get("province")


@function(
    "city", gives="string", doc="住址里的市", examples=[Example("示例省云泽市青禾县柳塘镇石桥村三组", (), "云泽市"), Example("柳塘镇", (), None)]
)
def city(value: str) -> str | None:
    """Prefecture-level city as spelt."""
    return pieces(value).get("city")


@function("county", gives="string", doc="住址里的县(区)", examples=[Example("云泽市青禾县柳塘镇石桥村", (), "青禾县"), Example("石桥村", (), None)])
def county(value: str) -> str | None:
    """County or district as spelt."""
    return pieces(value).get("county")


@function(
    "township", gives="string", doc="住址里的乡镇(街道)", examples=[Example("青禾县柳塘镇石桥村三组", (), "柳塘镇"), Example("石桥村三组", (), None)]
)
def township(value: str) -> str | None:
    """Township or street office as spelt."""
    return pieces(value).get("township")


@function(
    "village",
    gives="string",
    doc="住址里的村(社区)",
    examples=[Example("青禾县柳塘镇石桥村三组12号", (), "石桥村"), Example("柳塘镇湖滨社区", (), "湖滨社区"), Example("青禾县柳塘镇", (), None)],
)
def village(value: str) -> str | None:
    """Village or community as spelt."""
    return pieces(value).get("village")
