"""NUL characters in a sender's texts: FHIR has none (https://hl7.org/fhir/R4/datatypes.html#string), and PostgreSQL keeps none.

A value that holds one is damaged, nobody knows what stood there: it is left out with a finding, and a key without it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.errors import Finding
from gateway.record import Fields

__all__ = ["may_hold", "without"]

SPELLINGS = (b"\0", b"u0000", b"\\X")
"""How a NUL may be written in what was sent: as it is, in JSON, in an HL7 v2 escape (`\\X00\\`)."""
MESSAGE = "文字里有 NUL 字符, 内容已损坏, 这一项未写入; 请检查来源的导出或字段定义(定长字段常以 NUL 补齐), 更正后重发"


def may_hold(unit: bytes) -> bool:
    """Whether the fields made of these bytes have to be looked at."""
    return any(spelling in unit for spelling in SPELLINGS)


def without(fields: Fields, labels: dict[str, str]) -> list[Finding]:
    """Takes the damaged values out of the fields; a finding for each field that had one. labels: field -> the sender's column."""
    damaged = dict.fromkeys(_taken(fields, ""))
    return [Finding("nul-character", "drop", MESSAGE, "", labels.get(path, path)) for path in damaged]


def _taken(value: Any, path: str) -> Iterator[str]:
    """Takes damaged texts out of a dict or list, whatever lies below; gives the paths of the fields."""
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    kept = []
    for name, inner in entries:
        place = path if isinstance(name, int) or name.isdigit() or not name else f"{path}/{name}" if path else name
        if isinstance(inner, str) and "\0" in inner:
            yield place
            if isinstance(value, dict):
                del value[name]
            continue
        if isinstance(inner, dict | list):
            yield from _taken(inner, place)
        kept.append(inner)
    if isinstance(value, list):
        value[:] = kept
