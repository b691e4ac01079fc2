"""Quality-control messages of analysers: plain fields for the table `quality_control`, never a patient's record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.hl7v2.header import Header
from gateway.errors import Finding
from gateway.record import Fields, Row

DATASET = "quality_control"
_RESULT = {"sub_id": 4, "value": 5, "unit": 6, "range": 7, "flag": 8, "status": 11, "time": 14}


def quality_control_row(
    lines: Sequence[str], head: Header, message: bytes, position: str, findings: tuple[Finding, ...], unescape: Callable[[str], str]
) -> Row:
    """Row of dataset `quality_control`: application, facility, control_id, time, and `results`, each with item, name, value, unit, range,
    flag, status, time and the sample (OBR-2, OBR-3) it belongs to; all text as sent."""
    marks = head.separators
    fields: Fields = {"application": head.application, "facility": head.facility, "control_id": head.control_id, "time": head.field(7)}
    sample: Fields = {}
    results: list[Fields] = []
    for line in lines:
        cells = [unescape(cell.strip()) for cell in line.split(marks.field)]
        if line.startswith("OBR"):
            sample = {"material": _cell(cells, 2) or _cell(cells, 3), "run": _cell(cells, 3), "run_time": _cell(cells, 7)}
        elif line.startswith("OBX"):
            item = _cell(cells, 3).split(marks.component)
            result = {"item": item[0], "name": item[1] if len(item) > 1 else "", **sample}
            result |= {name: _cell(cells, at) for name, at in _RESULT.items()}
            results.append({k: v for k, v in result.items() if v})
    fields = {k: v for k, v in fields.items() if v}
    if results:
        fields["results"] = results
    return Row(DATASET, fields, message, position, findings)


def _cell(cells: Sequence[str], number: int) -> str:
    return cells[number] if number < len(cells) else ""
