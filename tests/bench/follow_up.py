"""Ten thousand follow-up rows from one XLSX to committed FHIR: rows a second, and the share of each stage.

The whole is measured through the gateway as it runs (large file: stored in chunks, read as a stream, mapped and committed in batches).
The shares come from a second pass over the same file with each stage timed alone.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xlsxwriter

from gateway.builtin import MAPPINGS
from gateway.cli.context import adapters
from gateway.collector import settle
from gateway.config import parse
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.compile import MapContext
from gateway.mapping.files import MapFiles
from gateway.pipeline import Gateway
from gateway.record import Incoming
from gateway.store.database import Database
from tests.bench.measure import Figure
from tests.bench.messages import id_card

PROFILE = "hypertension_followup/vendor_c_xlsx"
EXAMPLE = MAPPINGS / "public_health" / "hypertension_followup" / "examples" / "uncontrolled_vendor_c.in.json"
SHEET = "高血压患者随访服务记录表"


def follow_up(rows: int, build: Path) -> list[Figure]:
    """The figures; the file and the database stand below `build` while it runs."""
    folder = build / "follow_up"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    catalogue = Catalogue(MapFiles.from_folders([MAPPINGS]), adapters())
    file = folder / "follow_up.xlsx"
    source = {"name": "town", "adapter": "sheet", "profiles": [PROFILE], "authority": "https://town.bench.test", "organisation": "H39010000011"}
    config = parse({"store": {"data": str(folder)}, "source": [source]}, folder / "yifang.toml")
    binding = catalogue.bind(config.source[0])
    write(file, rows, binding.layouts[0].fields)
    database = Database.open(config.store)
    with Gateway(config, database, catalogue) as gateway:
        settle()  # as `yifang serve` does
        began = time.perf_counter()
        receipt = gateway.accept("town", Incoming(lambda: file.open("rb"), name=file.name)).result()
        whole = time.perf_counter() - began
        context = gateway.context
    database.close()
    tally = receipt.tally
    if tally.records != {"written": rows}:
        raise RuntimeError(f"{rows} rows became these records: {dict(tally.records)}")
    read, mapped = _stages(binding, file, context)
    shares = f"read {read / whole:.0%}, map {mapped / whole:.0%}, resolve, write and commit {max(0.0, 1 - (read + mapped) / whole):.0%}"
    shutil.rmtree(folder)
    return [Figure(f"{rows:,} follow-up rows, XLSX to committed FHIR", "rows/s", rows / whole, note=f"{tally.resources} resource versions; {shares}")]


def _stages(binding: Any, file: Path, context: MapContext) -> tuple[float, float]:
    """Seconds that reading rows, and recording and mapping them, take alone."""
    began = time.perf_counter()
    with file.open("rb") as stream:
        rows = list(binding.extract(stream))
    between = time.perf_counter()
    for row in rows:
        binding.map(binding.record(row), context)
    return between - began, time.perf_counter() - between


def write(file: Path, rows: int, locators: Mapping[str, str]) -> None:
    """A sheet of follow-ups of `rows` residents, each as the accepted example but for number, name, date and readings."""
    fields = json.loads(EXAMPLE.read_text("utf-8"))["fields"]
    headers = [header for header in locators.values() if header]
    with xlsxwriter.Workbook(str(file), {"constant_memory": True}) as book:
        sheet = book.add_worksheet(SHEET)
        sheet.write_row(0, 0, headers)
        for n in range(rows):
            sheet.write_row(n + 1, 0, list(cells(fields, locators, n)))


def cells(fields: dict[str, Any], locators: Mapping[str, str], n: int) -> Iterator[str]:
    """The cells of row n (from 0), in the order of the columns."""
    own = {
        "健康档案编号": f"390102101{1 + n // 90000:03d}{1 + n % 90000:05d}",
        "身份证号": id_card(n),
        "姓名": f"测试{n}",
        "收缩压": str(120 + n % 60),
        "舒张压": str(70 + n % 35),
        "心率": str(60 + n % 40),
        "随访日期": f"2026-0{1 + n % 6}-{1 + n % 28:02d}",
        "更新时间": f"2026-07-{1 + n % 28:02d} 08:00:00",
        "下次随访日期": "2026-10-01",
        "出生日期": "",
        "性别": "",
    }
    for name, header in locators.items():
        if header:
            value = own.get(name, fields.get(name, ""))
            yield "、".join(value) if isinstance(value, list) else value if isinstance(value, str) else ""
