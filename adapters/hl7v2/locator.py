"""Locators of HL7 v2 source profiles.

PID-3            a field                      OBX-3 + 2:OBX-4       component 2 is taken from OBX-4
PID-5.1.1        component, subcomponent      PV1-19.1 | PID-3.1    the first that is there
PID-3[5=NI].1    the repetition whose         PID-3.1 unless PV1-19.1   only when the other is absent
                 component 5 says NI          none                  this vendor does not send it
PID-3[2]         the second repetition
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PATH = re.compile(r"([A-Z][A-Z0-9]{2})-(\d{1,3})(?:\[(?:(\d+)|(\d+)=([^\]]+))\])?(?:\.(\d+))?(?:\.(\d+))?(?::(\d+))?")
NAME = re.compile(r"[A-Z][A-Z0-9]{2}-\d{1,3}")
"""A field name of a message-shaped dataset: it is its own locator."""
SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_EACH = re.compile(r"(?:\[([A-Z0-9 ]+)\]\s*)?([A-Z][A-Z0-9]{2})")


@dataclass(frozen=True, slots=True)
class Path:
    """One place of a message. repetition: 1-based, 0 = all; `where`: (component, value) that chooses the repetition; first: how many
    characters are taken, 0 = all."""

    segment: str
    field: int
    component: int = 0
    sub: int = 0
    repetition: int = 0
    where: tuple[int, str] | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class Locator:
    """What a locator says: alternatives in order (each one path, or several joined), components taken from elsewhere, and a path that
    must be absent."""

    alternatives: tuple[tuple[Path, ...], ...]
    grafts: tuple[tuple[str, Path], ...] = ()
    unless: Path | None = None


def parse(text: str) -> Locator:
    """Parses a locator; ValueError with a Chinese sentence when it is none. `none` gives a locator without alternatives."""
    if text.strip() == "none":
        return Locator(())
    main, _, unless = text.partition(" unless ")
    parts = [p.strip() for p in main.split("|")]
    head, *grafts = (p.strip() for p in parts[0].split("+"))
    alternatives = tuple(tuple(_path(p.strip()) for p in alternative.split("&")) for alternative in (head, *parts[1:]))
    return Locator(alternatives, tuple(_graft(g) for g in grafts), _path(unless.strip()) if unless else None)


def parse_each(text: str) -> tuple[str, tuple[str, ...]]:
    """`[ORC] OBR` -> ("OBR", ("ORC",)): the segment that opens a group and those that may stand before it."""
    match = _EACH.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"段组的 each 应是段名, 可在方括号里写它前面的段, 例如 `OBX` 或 `[ORC] OBR`, 不是 `{text}`")
    return match[2], tuple((match[1] or "").split())


def _graft(text: str) -> tuple[str, Path]:
    component, _, rest = text.partition(":")
    if not component.strip().isdigit():
        raise ValueError(f"`+` 后面应写 组件号:位置, 例如 `OBX-3 + 2:OBX-4`, 不是 `{text}`")
    return component.strip(), _path(rest.strip())


def _path(text: str) -> Path:
    match = _PATH.fullmatch(text)
    if match is None:
        raise ValueError(f"不认识的位置 `{text}`; 应是 段-字段[.组件[.子组件]], 例如 `PID-3`、`PID-5.1.1`、`PID-3[5=NI].1`")
    segment, field, repetition, component, value, part, sub, first = match.groups()
    where = (int(component), value) if component else None
    if int(field) == 0:
        raise ValueError(f"`{text}`: 字段号从 1 开始")
    return Path(segment, int(field), int(part or 0), int(sub or 0), int(repetition or 0), where, int(first or 0))
