"""Peak memory of `yifang ingest` on files as big as a county sends: a CSV and an XLSX of 200 MB, against files of half their size.

Rows are follow-ups with a long remark that no profile reads, so that the file is large and the run short. The XLSX keeps its texts as
Excel does, in one table beside the sheet.
"""

from __future__ import annotations

import base64
import csv
import json
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import xlsxwriter

from gateway.builtin import MAPPINGS
from gateway.cli.context import adapters
from gateway.config import SourceConfig
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from tests.bench.follow_up import EXAMPLE, PROFILE, SHEET, cells
from tests.bench.measure import Figure
from tests.bench.products import ROOT

CONFIGURATION = f"""
[store]
data = "."

[[source]]
name = "town"
adapter = "sheet"
profiles = ["{PROFILE}"]
authority = "https://town.bench.test"
organisation = "H39010000011"
options = {{ folder = "inbox" }}
"""
REMARK = "备注"
LIMIT = 400  # MB: the program and its page caches are 250 of them
GROWTH = 32  # MB that twice the file may take more
COMMAND = ("-m", "gateway")


def memory(csv_megabytes: int, xlsx_megabytes: int, build: Path) -> list[Figure]:
    """Peak resident MB of the command on each file, and how much that is above its peak on a file of half the size."""
    folder = build / "memory"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    figures = []
    for kind, megabytes in (("csv", csv_megabytes), ("xlsx", xlsx_megabytes)):
        half, whole = folder / f"half.{kind}", folder / f"whole.{kind}"
        write(half, megabytes // 2)
        rows = write(whole, megabytes)
        before, after = (peak(folder / file.name.replace(".", "-"), file) for file in (half, whole))
        name = f"yifang ingest of a {whole.stat().st_size / 1e6:,.0f} MB {kind.upper()}, peak memory"
        figures.append(Figure(name, "MB", after, target=f"< {LIMIT} MB", met=after < LIMIT, note=f"{rows:,} rows{_unpacked(whole)}"))
        grown = Figure(f"{name}, above a file of half the size", "MB", after - before, target=f"< {GROWTH} MB", met=after - before < GROWTH)
        figures.append(grown)
    shutil.rmtree(folder)
    return figures


def write(file: Path, megabytes: int) -> int:
    """Writes a CSV or XLSX of about this size; gives the number of its rows."""
    source = SourceConfig(
        name="town",
        adapter="sheet",
        profiles=[PROFILE],
        authority="https://town.bench.test",
        organisation="H39010000011",
        options={"folder": "inbox"},
    )
    locators = Catalogue(MapFiles.from_folders([MAPPINGS]), adapters()).bind(source).layouts[0].fields
    return (_csv if file.suffix == ".csv" else _xlsx)(file, megabytes, locators)


def _unpacked(file: Path) -> str:
    if file.suffix != ".xlsx":
        return ""
    with zipfile.ZipFile(file) as archive:
        return f", {sum(entry.file_size for entry in archive.infolist()) / 1e6:,.0f} MB unpacked"


def _csv(file: Path, megabytes: int, locators: Mapping[str, str]) -> int:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)

        def put(row: list[str]) -> int:
            writer.writerow(row)
            return stream.tell()

        return _fill(put, megabytes, locators, "读" * 4000)


def _xlsx(file: Path, megabytes: int, locators: Mapping[str, str]) -> int:
    """Every remark differs and does not pack well, as pictures and long texts do not."""
    drawn = random.Random(1)
    with xlsxwriter.Workbook(str(file)) as book:
        sheet = book.add_worksheet(SHEET)
        written = rows = 0

        def put(row: list[str]) -> int:
            nonlocal written, rows
            sheet.write_row(rows, 0, row)
            rows += 1
            written += len(row[-1]) * 3 // 4  # base64 packs to what it stands for
            return written

        return _fill(put, megabytes, locators, lambda: base64.b64encode(drawn.randbytes(9000)).decode())


def _fill(put: Callable[[list[str]], int], megabytes: int, locators: Mapping[str, str], remark: str | Callable[[], str]) -> int:
    """Writes header and rows until the file has its size; gives the number of data rows."""
    fields = json.loads(EXAMPLE.read_text("utf-8"))["fields"]
    put([*(header for header in locators.values() if header), REMARK])
    for n in _count():
        if put([*cells(fields, locators, n), remark if isinstance(remark, str) else remark()]) >= megabytes * 1_000_000:
            return n + 1
    raise AssertionError("the count has no end")


def _count() -> Iterator[int]:
    n = 0
    while True:
        yield n
        n += 1


def peak(folder: Path, file: Path, command: Sequence[str] = COMMAND) -> float:
    """Peak resident MB of `yifang ingest` on one file, in a database of its own."""
    folder.mkdir(parents=True)
    (folder / "yifang.toml").write_text(CONFIGURATION, "utf-8")
    arguments = [sys.executable, *command, "ingest", "--config", str(folder / "yifang.toml"), "town", str(file)]
    most = 0
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text("utf-8"))
                most = max(most, int(found[1])) if found else most
            time.sleep(0.05)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"yifang ingest of {file.name} ended with {process.returncode}")
    return most / 1024
