"""Numbers of a person: ID card (GB 11643) and health-archive number, normalised or refused; sex and birth date of a card."""

from __future__ import annotations

from gateway.identity import numbers
from gateway.mapping.functions import Example, Fault, function


@function(
    "id_card",
    gives="string",
    doc="居民身份证号, 校验并归一为18位(15位升18位, x 和全角Ⅹ改为 X)",
    examples=[
        Example("390101196205170246", (), "390101196205170246"),
        Example("390101620517024", (), "390101196205170246"),
        Example("３９０１０１１９６２０５１７０２４６", (), "390101196205170246"),
        Example("390101196205170240", (), Fault("id-card-check", "")),
        Example("3.90101E+17", (), Fault("id-card-form", "")),
    ],
)
def id_card(value: str) -> str | Fault:
    """The 18-character card number."""
    card = numbers.id_card(value)
    return card if isinstance(card, Fault) else card.number


@function(
    "archive_number",
    gives="string",
    doc="17位健康档案编号",
    examples=[
        Example("390101-001-101-00001", (), "39010100110100001"),
        Example("10100001", (), Fault("archive-number-short", "")),
        Example("无", (), Fault("archive-number-form", "")),
    ],
)
def archive_number(value: str) -> str | Fault:
    """The 17-digit number without separators."""
    return numbers.archive_number(value)


@function(
    "sex_of_id",
    gives="code",
    doc="身份证号里的性别(male、female)",
    examples=[
        Example("390101196205170246", (), "female"),
        Example("390101196205170238", (), "male"),
        Example("390101196205170240", (), Fault("id-card-check", "")),
    ],
)
def sex_of_id(value: str) -> str | Fault:
    """administrative-gender that the card states."""
    card = numbers.id_card(value)
    return card if isinstance(card, Fault) else card.sex


@function(
    "birth_of_id",
    gives="date",
    doc="身份证号里的出生日期",
    examples=[Example("390101620517024", (), "1962-05-17"), Example("123", (), Fault("id-card-form", ""))],
)
def birth_of_id(value: str) -> str | Fault:
    """Birth date that the card states."""
    card = numbers.id_card(value)
    return card if isinstance(card, Fault) else card.birth_date


@function(
    "uscc",
    gives="string",
    doc="统一社会信用代码(GB 32100), 校验后大写",
    examples=[
        Example("12390101mb0000001x", (), "12390101MB0000001X"),
        Example("12390101MB00000010", (), Fault("uscc-check", "")),
        Example("1235", (), Fault("uscc-form", "")),
    ],
)
def uscc(value: str) -> str | Fault:
    """The 18-character credit code of an organisation."""
    return numbers.uscc(value)


@function(
    "sex_as_on_card",
    takes="code",
    args=("text",),
    gives="code",
    doc="性别, 与身份证号核对; 不一致时照写并提示",
    examples=[
        Example("female", ("390101196205170246",), "female"),
        Example("female", (None,), "female"),
        Example("unknown", ("390101196205170238",), "unknown"),
        Example("female", ("390101196205170238",), Fault("sex-differs", "")),
    ],
)
def sex_as_on_card(value: str, card: str | None) -> str | Fault:
    """The sex as given; a note when a valid card states the other one (a quality matter, no refusal)."""
    stated = numbers.sex_and_birth(card) if card else None
    if stated is None or value not in ("male", "female") or stated[0] == value:
        return value
    return Fault("sex-differs", "性别与身份证号里的性别不一致, 已按填写的写入; 请核对是否用了别人的证件或填错性别", "note", value)


@function(
    "birth_as_on_card",
    takes="date",
    args=("text",),
    gives="date",
    doc="出生日期, 与身份证号核对; 不一致时照写并提示",
    examples=[
        Example("1962-05-17", ("390101196205170246",), "1962-05-17"),
        Example("1962", ("390101196205170246",), "1962"),
        Example("1962-05-17", ("390101196205170240",), "1962-05-17"),
        Example("1963-05-17", ("390101196205170246",), Fault("birth-date-differs", "")),
    ],
)
def birth_as_on_card(value: str, card: str | None) -> str | Fault:
    """The birth date as given; a note when a valid card states another one."""
    stated = numbers.sex_and_birth(card) if card else None
    if stated is None or stated[1].startswith(value):
        return value
    return Fault("birth-date-differs", "出生日期与身份证号里的不一致, 已按填写的写入; 请核对是否用了别人的证件或填错日期", "note", value)
