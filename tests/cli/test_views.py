"""`yifang views`: resources as tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from gateway.builtin import PROFILES
from gateway.occupancy import announce, occupy
from tests.cli.conftest import Done, Yifang
from tests.village import body, reading

SYSTOLIC = {"name": "systolic", "path": "component.value.ofType(Quantity).value.first()", "type": "decimal"}
OWN: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "own",
    "resource": "Observation",
    "where": [{"path": "component.exists()"}],
    "select": [{"column": [SYSTOLIC]}],
}


@pytest.fixture
def measured(county: Path, yifang: Yifang) -> Path:
    """A county with three readings, two of them of blood pressure."""
    file = county / "readings.json"
    readings = [reading(1, 20, bp={"systolic": "150", "diastolic": "86"}), reading(2, 21, bp={"systolic": "128", "diastolic": "82"})]
    file.write_bytes(body(*readings))
    assert yifang("ingest", "village-posts", file).code == 0
    return county


def rows(done: Done) -> list[dict[str, str]]:
    """Printed CSV."""
    assert done.code == 0, done.err
    return list(csv.DictReader(done.out.splitlines()))


def test_a_view_of_the_product_is_printed_as_csv(yifang: Yifang, measured: Path) -> None:
    found = rows(yifang("views", "run", "blood_pressure"))
    assert sorted(r["systolic"] for r in found) == ["128", "150"]
    residents = {r["key"] for r in rows(yifang("views", "run", "resident"))}
    assert {r["resident"] for r in found} <= residents and len(residents) == 2


def test_the_list_has_the_views_of_the_product_and_of_the_site(yifang: Yifang, county: Path) -> None:
    def names() -> list[str]:
        return [v["name"] for v in yifang("views", "list", "--json").json]

    shipped = [file.stem for file in sorted((PROFILES / "views").glob("*.json"))]
    assert names() == shipped
    settings = (county / "yifang.toml").read_text("utf-8")
    (county / "yifang.toml").write_text('profiles = "profiles"\n' + settings, "utf-8")
    (county / "profiles" / "views").mkdir(parents=True)
    (county / "profiles" / "views" / "x.json").write_text(json.dumps(OWN), "utf-8")
    assert names() == [*shipped, "own"]
    assert "own" in yifang("views", "list").out
    (county / "profiles" / "views" / "x.json").write_text("{", "utf-8")
    assert (yifang("views", "list").code, "x.json" in yifang("views", "list").err) == (2, True)


def test_a_view_of_a_file_in_every_format(yifang: Yifang, measured: Path) -> None:
    file = measured / "own.json"
    file.write_text(json.dumps(OWN), "utf-8")
    for form in ("csv", "ndjson", "json", "xlsx", "parquet"):
        done = yifang("views", "run", file, "--output", f"out.{form}")
        assert (done.code, done.out) == (0, ""), done
    assert (measured / "out.csv").read_text("utf-8").split()[0] == "systolic"
    lines = [json.loads(line) for line in (measured / "out.ndjson").read_text("utf-8").splitlines()]
    assert sorted(line["systolic"] for line in lines) == [128, 150]
    assert json.loads((measured / "out.json").read_text("utf-8")) == lines
    sheet = openpyxl.load_workbook(measured / "out.xlsx").active
    assert sheet is not None and sheet.max_row == len(lines) + 1
    yifang("views", "run", file, "--format", "ndjson", "--output", "whatever")
    assert (measured / "whatever").read_text("utf-8") == (measured / "out.ndjson").read_text("utf-8")
    assert not list(measured.glob(".*.part"))


def test_parquet_holds_what_the_view_gives(yifang: Yifang, measured: Path) -> None:
    import duckdb

    assert yifang("views", "run", "blood_pressure", "-o", "bp.parquet").code == 0
    query = "SELECT systolic, diastolic, typeof(systolic) FROM read_parquet(?) ORDER BY 1"
    assert duckdb.execute(query, [str(measured / "bp.parquet")]).fetchall() == [(128.0, 82.0, "DOUBLE"), (150.0, 86.0, "DOUBLE")]


def test_sql_joins_views(yifang: Yifang, measured: Path) -> None:
    sql = "SELECT p.sex, count(*) AS n, max(b.systolic) AS highest FROM blood_pressure b JOIN resident p ON b.resident = p.key GROUP BY p.sex"
    found = rows(yifang("views", "run", "blood_pressure", "resident", "--sql", sql))
    assert sum(int(r["n"]) for r in found) == 2
    assert max(float(r["highest"]) for r in found) == 150
    assert yifang("views", "run", "resident", "--sql", "SELECT key FROM resident", "-o", "k.parquet").code == 0


def test_the_store_is_read_beside_the_gateway_that_serves_it(yifang: Yifang, measured: Path) -> None:
    with occupy(measured / "data"), announce(measured / "data", "http://127.0.0.1:1"):
        assert len(rows(yifang("views", "run", "blood_pressure"))) == 2
    with occupy(measured / "data"):
        assert yifang("views", "run", "blood_pressure").code == 3, "held by a process that does not serve: it may be migrating"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "没有名为 nobody 的视图"),
        (["missing.json"], "missing.json"),
        (["resident", "--format", "docx"], "不认识的格式 docx"),
        (["resident", "--output", "a.docx"], "不认识的格式 docx"),
        (["resident", "--format", "xlsx"], "--output"),
        (["resident", "--output", "nowhere/a.csv"], "没有这个文件夹"),
        (["resident", "diagnosis"], "--sql"),
        (["resident", "resident", "--sql", "SELECT 1"], "同名"),
        (["resident", "--sql", "SELECT"], "SQL 不能执行"),
        (["resident", "--sql", "SELECT * FROM read_csv('yifang.toml')"], "SQL 不能执行"),
        (["bad.json"], "ViewDefinition.select[0].column[0].path"),
        (["many.json", "-o", "out.csv"], "collection: true"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_wrong_use_is_a_sentence_and_exit_code_2(yifang: Yifang, measured: Path, arguments: list[str], says: str) -> None:
    bad = OWN | {"select": [{"column": [{"name": "a", "path": "code."}]}]}
    many = OWN | {"select": [{"column": [{"name": "a", "path": "component.value.ofType(Quantity).value"}]}]}
    (measured / "bad.json").write_text(json.dumps(bad), "utf-8")
    (measured / "many.json").write_text(json.dumps(many), "utf-8")
    done = yifang("views", "run", *arguments)
    assert (done.code, says in done.err) == (2, True), done
    assert not (measured / "out.csv").exists() and not list(measured.glob(".*.part")), "no half file is left"
