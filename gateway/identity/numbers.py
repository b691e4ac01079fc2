"""Numbers of persons and organisations: are they valid, and may residents be linked on them?

GB 11643-1999 公民身份号码 (check character ISO 7064 MOD 11-2) · 城乡居民健康档案编号, 17 digits (卫生部 居民健康档案 编码规则) ·
GB 32100-2015 统一社会信用代码. A number that fails its check is kept as a weak number of the authority's own making, with a fault.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from gateway import builtin
from gateway.errors import Fault
from gateway.record import PersonNumber

__all__ = ["IdCard", "archive_number", "id_card", "identifier_systems", "person_number", "sex_and_birth", "upgrade", "uscc"]

ID_CARD = "居民身份证"
FOREIGN_CARD = "外国人永久居留身份证"
ARCHIVE = "健康档案编号"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_USCC_CHARS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_BLANK = re.compile(r"[\s\u200b\ufeff\-‐–—·]+")
_PLAIN = {ord("Ⅹ"): "X", ord("ⅹ"): "X", ord("×"): "X", ord("х"): "X", ord("Х"): "X", ord("'"): None, ord("’"): None}
OLDEST = 1850


@dataclass(frozen=True, slots=True)
class IdCard:
    """A valid 18-character card: number, its kind (identifier name), birth date `YYYY-MM-DD` and sex (`male` | `female`)."""

    number: str
    kind: str
    birth_date: str
    sex: str


def tidy(raw: str) -> str:
    """The number without blanks and hyphens, full-width digits and the Roman numeral Ⅹ made plain, upper case."""
    if raw.isascii() and raw.isalnum():
        return raw.upper()
    return _BLANK.sub("", unicodedata.normalize("NFKC", raw.translate(_PLAIN))).upper()


def check_character(first17: str) -> str:
    """The 18th character of a card from its first 17 digits (GB 11643, ISO 7064 MOD 11-2)."""
    return _CHECK[sum(int(d) * w for d, w in zip(first17, _WEIGHTS, strict=True)) % 11]


def upgrade(fifteen: str) -> str:
    """The 18-character form of a 15-digit card of the first generation; births are of the 20th century."""
    first17 = f"{fifteen[:6]}19{fifteen[6:]}"
    return first17 + check_character(first17)


@lru_cache(maxsize=1024)  # one message asks several times: the claim, the Patient, sex and birth beside the form's
def id_card(raw: str) -> IdCard | Fault:
    """Reads a resident's or permanent resident's card of 18 or 15 characters; a Fault says which rule it breaks."""
    number = tidy(raw)
    if len(number) == 15 and number.isascii() and number.isdigit():
        number = upgrade(number)
    if len(number) != 18 or not number.isascii() or not number[:17].isdigit() or number[17] not in _CHECK:
        return Fault(
            "id-card-form",
            f"身份证号应为18位(前17位数字, 末位数字或X)或15位数字, 收到的是{len(number)}位, "
            "请核对原证件; 若被表格软件改成科学计数, 请把该列改为文本再导出",
        )
    if number[0] == "0":
        return Fault("id-card-form", "身份证号首位应为1-9(1-8为居民, 9为外国人永久居留), 收到0, 请核对原证件")
    if check_character(number[:17]) != number[17]:
        return Fault("id-card-check", "身份证号校验位不符(GB 11643), 应有一位写错或两位写反, 请核对原证件")
    born = f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
    try:
        year = date.fromisoformat(born).year
    except ValueError:
        return Fault("id-card-birth-date", "身份证号第7-14位不是有效日期, 请核对原证件")
    if year < OLDEST:
        return Fault("id-card-birth-date", f"身份证号里的出生年份早于{OLDEST}年, 请核对原证件")
    return IdCard(number, FOREIGN_CARD if number[0] == "9" else ID_CARD, born, "male" if int(number[16]) % 2 else "female")


def sex_and_birth(raw: str) -> tuple[str, str] | None:
    """(sex, birth date) that a valid card states, for the cross-check with the form; None when the card is not valid."""
    card = id_card(raw)
    return None if isinstance(card, Fault) else (card.sex, card.birth_date)


def archive_number(raw: str) -> str | Fault:
    """The 17-digit health-archive number: county 6, township 3, village 3, serial 5; no check digit exists."""
    number = tidy(raw)
    if not (number.isascii() and number.isdigit()):
        return Fault("archive-number-form", "健康档案编号应为17位数字, 收到的含有其他字符, 请核对")
    if len(number) == 8:
        return Fault("archive-number-short", "健康档案编号只有后8位, 不能作唯一标识; 请在来源配置的 [prefix.健康档案编号] 里按机构补前9位")
    if len(number) != 17:
        return Fault("archive-number-form", f"健康档案编号应为17位数字, 收到{len(number)}位, 请核对")
    if number[0] == "0" or number[9:12] == "000" or number[12:] == "00000":
        return Fault("archive-number-form", "健康档案编号的县码、村码或个人序号为全零, 请核对(6位县+3位乡镇+3位村+5位序号)")
    return number


def uscc(raw: str) -> str | Fault:
    """The 18-character unified social credit code (GB 32100-2015), upper case; a Fault when form or check character is wrong."""
    code = tidy(raw)
    if len(code) != 18 or any(c not in _USCC_CHARS for c in code):
        return Fault("uscc-form", "统一社会信用代码应为18位数字或大写字母(不用I、O、S、V、Z), 请核对营业执照或事业单位法人证书")
    rest = sum(_USCC_CHARS.index(c) * w for c, w in zip(code, _USCC_WEIGHTS, strict=False)) % 31
    if _USCC_CHARS[(31 - rest) % 31] != code[17]:
        return Fault("uscc-check", "统一社会信用代码校验位不符(GB 32100), 请核对证书")
    return code


@lru_cache(maxsize=1)
def identifier_systems() -> Mapping[str, str]:
    """Identifier name -> system as in the built-in `mappings/tables/identifiers.csv` (`{base}` not yet replaced)."""
    with (builtin.MAPPINGS / "tables" / "identifiers.csv").open(encoding="utf-8", newline="") as table:
        return {row["name"]: row["system"] for row in csv.DictReader(table)}


def person_number(name: str, raw: str, systems: Mapping[str, str] | None = None) -> tuple[PersonNumber | None, Fault | None]:
    """The number a field holds, and what is wrong with it.

    name: identifier name of `identifiers.csv`. systems: name -> system of the active tables with `{base}` replaced; the built-in table
    otherwise. A valid national number is strong. One that breaks its rule is no number at all (None, fault): a mistyped card or an
    8-digit archive number may be another person's. Any other name gives a weak number as written.
    """
    table = identifier_systems() if systems is None else systems
    if name in (ID_CARD, FOREIGN_CARD):
        card = id_card(raw)
        return (None, card) if isinstance(card, Fault) else (PersonNumber(table[card.kind], card.number, True), None)
    if name == ARCHIVE:
        number = archive_number(raw)
        return (None, number) if isinstance(number, Fault) else (PersonNumber(table[ARCHIVE], number, True), None)
    value = raw.strip()
    if name not in table:
        return None, Fault("unknown-identifier", f"标识名“{name}”不在 identifiers.csv 里, 请改 fields.csv 的 identifier 列或在表中加一行")
    return (PersonNumber(table[name], value, False), None) if value else (None, None)
