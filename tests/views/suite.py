"""Runs cases in the form of the specification's own suite (https://github.com/FHIR/sql-on-fhir-v2/tree/master/tests).

`python -m tests.views.suite FOLDER` runs every file of a folder and prints what fails and how many pass; exit 1 when one fails. The cases of this
project, in `cases/`, are run by `test_cases.py`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.fhir import json
from gateway.views.definition import ViewError
from gateway.views.view import compile_view

Case = dict[str, Any]


def cases(folder: Path) -> Iterator[tuple[str, list[Any], Case]]:
    """(`file: title`, resources, case) of every file."""
    for file in sorted(folder.glob("*.json")):
        body = json.decode(file.read_bytes())
        yield from ((f"{file.stem}: {case['title']}", body["resources"], case) for case in body["tests"])


def difference(resources: list[Any], case: Case) -> str:
    """How the answer differs from what the case expects; "" when it does not. The order of rows is not compared."""
    try:
        view = compile_view(case["view"])
        names = [c.name for c in view.columns]
        rows = [dict(zip(names, row, strict=True)) for resource in resources for row in view.rows(resource)]
    except ViewError as e:
        return "" if case.get("expectError") else f"refused: {e}"
    if case.get("expectError"):
        return f"not refused: {rows}"
    if "expectColumns" in case and case["expectColumns"] != names:
        return f"columns {names}"
    return "" if _bag(rows) == _bag(case["expect"]) else f"{rows} instead of {case['expect']}"


def _bag(rows: list[dict[str, Any]]) -> Counter[Any]:
    return Counter(_frozen(row) for row in rows)


def _frozen(value: Any) -> Any:
    """A value that can be counted; 1 and true differ, 1 and 1.0 do not."""
    if isinstance(value, dict):
        return frozenset((k, _frozen(v)) for k, v in value.items())
    if isinstance(value, list):
        return tuple(_frozen(v) for v in value)
    return (type(value) is bool, value)


def main(folder: str) -> int:
    """Runs a folder; the exit code."""
    found = [(name, difference(resources, case)) for name, resources, case in cases(Path(folder))]
    for name, said in found:
        if said:
            print(f"{name}: {said}")
    passed = sum(not said for _, said in found)
    print(f"{passed} of {len(found)}")
    return 0 if found and passed == len(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
