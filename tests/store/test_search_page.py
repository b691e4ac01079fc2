"""docs/search.md is held to the code: every modifier and every limit stands there."""

from __future__ import annotations

import re
from pathlib import Path

import gateway
from gateway.fhir.query import MAX_COUNT
from gateway.store.search import Limits

ROOT = Path(gateway.__file__).parent
PAGE = (ROOT.parent / "docs" / "search.md").read_text("utf-8")


def test_every_modifier_is_described() -> None:
    served: set[str] = set()
    for path in sorted((ROOT / "store" / "index" / "match").glob("*.py")):
        for call in re.findall(r"allow\(criterion, ([^\n]*)\)\n", path.read_text("utf-8")):
            served.update(m for m in re.findall(r'"([a-z-]*)"', call) if m)
    assert {"exact", "pinyin", "of-type", "below", "identifier"} <= served
    assert [m for m in sorted(served | {"missing", "iterate"}) if f"`:{m}`" not in PAGE] == []


def test_every_limit_is_described() -> None:
    limits = Limits()
    for said in (f"{limits.rows:,} rows", f"{limits.seconds:g} s", f"{limits.included} resources", f"{limits.width} resources", f"0 to {MAX_COUNT}"):
        assert said in PAGE, said
