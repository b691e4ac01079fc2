"""A cell as text."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from gateway.fhir import json

__all__ = ["as_text", "plain"]


def as_text(value: Any) -> str:
    """A value as CSV writes it: "" for null, decimals in all their digits, lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return json.encode(value).decode() if isinstance(value, list | dict) else str(value)


def plain(value: Any) -> Any:
    """A value as JSON has it: what SQL adds to JSON's types is written as text."""
    if value is None or isinstance(value, bool | int | float | Decimal | str):
        return value
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return as_text(value)
