"""What a record says of the person it is about."""

from __future__ import annotations

import json

import pytest

from tests.datasets.sources import mapped


@pytest.mark.parametrize(("said", "birth_date"), [("1958-03-14", "1958-03-14"), ("1958-02-30", ""), ("1958-13-01", "")])
def test_a_birthday_that_no_calendar_has_is_not_taken(said: str, birth_date: str) -> None:
    resident = {"idCard": "390121195803140267", "name": "欧阳秋禾", "birthDate": said}
    reading = {"orgCode": "390121103101", "readingId": "R1", "updatedAt": "2026-04-01T08:31:10+08:00", "resident": resident}
    [(_, result)] = mapped("village_reading", "village_post", json.dumps(reading, ensure_ascii=False).encode())
    assert [c.birth_date for c in result.claims] == [birth_date]
