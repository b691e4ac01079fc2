"""Readings as the village app posts them (mappings/community/village_reading/sources/village_post.toml): synthetic residents, area 39xxxx."""

from __future__ import annotations

import json
from typing import Any

from gateway.identity.numbers import check_character

AUTHORITY = "https://yifang.invalid/systems/village-app"
ORGANISATION = "390121103101"


def id_card(person: int) -> str:
    """A valid synthetic ID-card number; residents are numbered."""
    body = f"39012119580314{person:03d}"
    return body + check_character(body)


def reading(number: int = 1, person: int = 26, **changes: Any) -> dict[str, Any]:
    """One reading; `changes` replaces members at the top."""
    made: dict[str, Any] = {
        "orgCode": ORGANISATION,
        "readingId": f"R20260401-{number:04d}",
        "updatedAt": "2026-04-01T08:31:10+08:00",
        "resident": {"idCard": id_card(person), "name": f"欧阳禾{person}", "sex": "1" if person % 2 else "2", "birthDate": "1958-03-14"},
        "measuredAt": "2026-04-01T08:30:00+08:00",
        "bp": {"systolic": "138", "diastolic": "86"},
        "glucose": {"value": "6.80", "timing": "1"},
        "place": "1",
        "doctor": {"code": "V3101", "name": "田禾"},
        "state": "1",
    }
    return made | changes


def body(*readings: dict[str, Any]) -> bytes:
    """One reading as an object, several as an array."""
    return json.dumps(readings[0] if len(readings) == 1 else list(readings), ensure_ascii=False).encode()
