"""What a record says of the person it is about."""

from __future__ import annotations

import json

import pytest

from gateway.builtin import MAPPINGS
from tests.datasets.sources import mapped


@pytest.mark.parametrize(("said", "birth_date"), [("1958-03-14", "1958-03-14"), ("1958-02-30", ""), ("1958-13-01", "")])
def test_a_birthday_that_no_calendar_has_is_not_taken(said: str, birth_date: str) -> None:
    example = json.loads((MAPPINGS / "community/village_reading/examples/ordinary.in.json").read_text("utf-8"))
    content = json.dumps(example["fields"] | {"出生日期": said}, ensure_ascii=False).encode()
    [(_, result)] = mapped("village_reading", "village_post", content)
    assert [c.birth_date for c in result.claims] == [birth_date]
