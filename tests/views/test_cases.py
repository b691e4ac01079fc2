"""The rules of ViewDefinitions, case by case (https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.views.suite import Case, cases, difference, main

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(("name", "resources", "case"), [pytest.param(*c, id=c[0]) for c in cases(CASES)])
def test_a_case(name: str, resources: list[Any], case: Case) -> None:
    assert difference(resources, case) == ""


def test_a_wrong_answer_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = {"title": "t", "view": {"resource": "Patient", "select": [{"column": [{"name": "a", "path": "active"}]}]}}
    patients = [{"resourceType": "Patient", "active": True}]
    assert difference(patients, case | {"expect": [{"a": True}]}) == ""
    assert difference(patients, case | {"expect": [{"a": 1}]}), "true is not 1"
    assert difference(patients, case | {"expect": [{"a": True}, {"a": True}]}), "a row is missing"
    assert difference(patients, case | {"expectError": True})
    assert difference(patients, case | {"expect": [{"a": True}], "expectColumns": ["b"]})
    assert main(str(tmp_path)) == 1, "no case at all"
    assert capsys.readouterr().out == "0 of 0\n"
