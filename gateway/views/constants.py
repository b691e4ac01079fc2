"""A view's constant as the FHIRPath literal that stands for `%name` (https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from gateway.fhir.primitives import JSON_TYPES, TEXT, fits

__all__ = ["CONSTANTS", "constant_text"]

_NUMBERS = ("decimal", "integer", "positiveInt", "unsignedInt")
_TEXTS = ("base64Binary", "canonical", "code", "id", "oid", "string", "uri", "url", "uuid")
CONSTANTS = {t[0].upper() + t[1:]: t for t in (*_NUMBERS, *_TEXTS, "boolean", "date", "dateTime", "instant", "integer64", "time")}
"""The types a constant may have, by the ending of `value[x]`."""


def constant_text(ending: str, value: Any) -> str | None:
    """The literal of `value<ending>`; None when it is no value of that type."""
    type_ = CONSTANTS[ending]
    if type_ == "integer64":
        return _number(int(value)) if _is_integer64(value) else None
    if type(value) not in JSON_TYPES.get(type_, TEXT)[0] or not fits(type_)(value):
        return None
    if type_ in _NUMBERS:
        return _number(value)
    if type_ == "boolean":
        return "true" if value else "false"
    if type_ == "time":
        return f"@T{value}"
    if type_ in ("date", "dateTime", "instant"):
        return f"@{value}" if type_ == "date" or "T" in value else f"@{value}T"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _number(value: int | Decimal) -> str:
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return f"({text})" if text.startswith("-") else text


def _is_integer64(value: Any) -> bool:
    """FHIR R5 writes it as text."""
    return isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value) is not None and -(2**63) <= int(value) < 2**63
