"""The list of the checker's messages is complete: each code that the engine can give is provoked by a test, each says what comes next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from tests.mapping import small
from tests.mapping.test_check import BLOCK, HEAD, IGNORE, KEY

ROOT = Path(__file__).resolve().parents[2]
MAP = "lab/report/report.map"
GIVERS = frozenset({"Fault", "fault", "wrong"})
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+|each|type|unit|arguments|tab|syntax|statement|element|value|name|field|reason|locator|profile")

CASES = {
    "key-misplaced": (BLOCK + '  note.text = key("x", 报告号)\n', f"{MAP}:8:"),
    "not-a-literal": (BLOCK + "  meta.profile = profile(备注)\n", f"{MAP}:8:26"),
    "fragment-twice": (BLOCK + 2 * "fragment XX(HL7 XX) -> Address\n  city = $1\n", f"{MAP}:10:1"),
    "key-in-scalar": (
        f'QuestionnaireResponse 表 when 报告号\n{KEY}  status = "completed"\n  subject = 患者\n',
        f"{MAP}:4:3",
    ),
    "alias-twice": (
        f'Observation 单 each 结果 as 果\n{KEY.replace("报告号", "报告号, 果.项目")}  status = "final"\n  code = code("loinc", "1")\n'
        "  component each 果.结果 as 果\n    code.text = 果.值\n",
        f"{MAP}:7:",
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_message_of_a_map(code: str) -> None:
    body, where = CASES[code]
    hits = [f for f in small.faults(HEAD + body + IGNORE) if f.code == code]
    assert hits, [str(f) for f in small.faults(HEAD + body + IGNORE)]
    assert str(hits[0].place).startswith(where)
    assert hits[0].message and hits[0].expected and hits[0].next_step


ROW = "备注,备注,,,,text,,,,,,,no,,,本系统自定,\n"
FORMS = {
    "fields-row": (small.FIELDS.replace(ROW, ROW.replace("自定,\n", "自定,说明,多一列\n")), 12),
    "fields-name": (small.FIELDS.replace(ROW, ROW.replace("备注,备注", ",备注")), 12),
}


@pytest.mark.parametrize("code", FORMS)
def test_message_of_a_form(code: str) -> None:
    fields, line = FORMS[code]
    hits = [f for f in small.faults(HEAD + BLOCK + IGNORE, fields=fields) if f.code == code]
    assert [(f.place.file, f.place.line) for f in hits] == [("lab/report/fields.csv", line)]
    assert hits[0].expected and hits[0].next_step


@pytest.mark.parametrize("row", [",没有代码,http://loinc.org,1-8,,,\n", "A,,,1-8,,,\n"])
def test_message_of_a_table(row: str) -> None:
    catalogue = small.catalogue(HEAD + BLOCK + IGNORE, more={"tables/short.csv": small.TABLE + "1,,urn:status,final,,,\n" + row})
    hits = [f for f in catalogue.faults if f.code == "table-row"]
    assert [str(f.place) for f in hits] == ["tables/short.csv:3:1"]
    assert hits[0].expected and hits[0].next_step


def test_a_dataset_without_a_map_says_which_file_is_wanted() -> None:
    files = {**small.TABLES, "lab/report/fields.csv": small.FIELDS}
    (fault,) = Catalogue(MapFiles({k: v.encode() for k, v in files.items()}), {}).entry("report").faults
    assert (fault.code, str(fault.place)) == ("no-map", f"{MAP}:1:1")
    assert fault.next_step


def codes() -> Iterator[tuple[str, str]]:
    """(code, file:line) of every fault that parser, resolver and checker can give."""
    for path in sorted((ROOT / "gateway/mapping").rglob("*.py")):
        if path.parent.name == "functions":
            continue
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name in GIVERS:
                for argument in call.args[:2]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and CODE.fullmatch(argument.value):
                        yield argument.value, f"{path.name}:{call.lineno}"


def test_every_message_has_a_test() -> None:
    known = dict(codes())
    assert len(known) > 60
    tests = "".join(p.read_text("utf-8") for p in sorted((ROOT / "tests").rglob("test_*.py")))
    assert {code: place for code, place in known.items() if f'"{code}"' not in tests} == {}
