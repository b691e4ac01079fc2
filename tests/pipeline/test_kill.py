"""A real process is killed (SIGKILL) in the middle of its work: nothing acknowledged is lost, nothing stands twice."""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.bench.messages import id_card, oru
from tests.services import free_port

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
CONFIG = """
[http]
port = {http}
[store]
data = "data"
chunk = 65536
[[source]]
name = "lis"
adapter = "hl7v2"
profiles = ["hl7v2_oru/standard"]
authority = "https://yifang.invalid/lis"
organisation = "390121101001"
options = {{ port = {mllp}, applications = ["LIS"] }}
[[source]]
name = "meters"
adapter = "sheet"
profiles = ["village_reading/meter_csv"]
authority = "https://yifang.invalid/meters"
organisation = "390121103101"
options = {{ folder = "meters" }}
"""
COLUMNS = ("流水号", "导出时间", "身份证", "档案号", "姓名", "性别", "测量时间", "收缩压(kPa)", "舒张压(kPa)", "脉搏(次/分)", "血糖", "餐前餐后",
           "体重(斤)", "机号", "操作员", "备注")  # fmt: skip


DIES = """
import os, signal
from gateway.cli import app
from gateway.store.writer import Writer
commit = Writer.commit
def dying(writer, batch):
    if any(work.rows is not None and work.rows >= 1000 for work in batch):
        os.kill(os.getpid(), signal.SIGKILL)
    commit(writer, batch)
Writer.commit = dying
app()
"""
"""`yifang` that is killed when the writer is handed the rows about the thousandth."""


class Place:
    """A folder with a configuration; runs `yifang` there as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mllp = free_port()
        (folder / "meters").mkdir()
        (folder / "yifang.toml").write_text(CONFIG.format(http=free_port(), mllp=self.mllp), "utf-8")
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str, code: str = "from gateway.cli import app; app()") -> subprocess.Popen[bytes]:
        """Starts `yifang` with these arguments."""
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-c", code, *arguments]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "YIFANG_CONFIG": str(self.folder / "yifang.toml")}
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment)
        self.running.append(process)
        return process

    def rows(self, sql: str) -> list[Any]:
        """Rows of the database as another process sees them; none while it does not exist."""
        path = self.folder / "data" / "yifang.sqlite3"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError:
                return []  # the schema is being made

    def until(self, reached: Callable[[], bool]) -> None:
        """Waits until something is so."""
        end = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < end, (self.folder / "log").read_text("utf-8", "replace")[-2000:]
            time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place; what still runs there at the end is killed."""
    made = Place(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.wait()


def frame(n: int) -> bytes:
    """Message n in its MLLP envelope."""
    return b"\x0b" + oru(n) + b"\x1c\r"


def send(port: int, numbers: list[int], accepted: set[int]) -> None:
    """Sends messages one after the other on one connection until it breaks; notes those acknowledged with AA."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            for n in numbers:
                connection.sendall(frame(n))
                answer = b""
                while not answer.endswith(b"\x1c\r"):
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    answer += piece
                assert b"MSA|AA|" in answer, answer
                accepted.add(n)
    except OSError:
        return  # the server is gone, as it should be


def listening(port: int) -> bool:
    """Whether the port takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_what_mllp_acknowledged_survives_a_kill_and_stands_once(place: Place) -> None:
    total, connections = 240, 6
    process = place.run("serve")
    place.until(lambda: listening(place.mllp))
    accepted: set[int] = set()
    callers = [threading.Thread(target=send, args=(place.mllp, list(range(c, total, connections)), accepted)) for c in range(connections)]
    for caller in callers:
        caller.start()
    place.until(lambda: len(accepted) > 40)
    process.send_signal(signal.SIGKILL)
    for caller in callers:
        caller.join(PATIENCE)
    assert 40 < len(accepted) < total
    process.wait()
    durable = dict(place.rows("SELECT digest, state FROM message"))
    assert {sha256(oru(n)).hexdigest() for n in accepted} <= durable.keys()
    assert set(durable.values()) <= {"processing", "mapped"}
    left = place.rows("SELECT id FROM message WHERE state = 'processing' ORDER BY id")
    assert left, "messages were acknowledged ahead of their records"
    process = place.run("serve")
    place.until(lambda: place.rows("SELECT count(*) FROM message WHERE state = 'processing'") == [(0,)])
    assert dict(place.rows("SELECT digest, state FROM message")) == dict.fromkeys(durable, "mapped")
    assert [row for row in place.rows("SELECT message FROM record_version ORDER BY id") if row in left] == left
    place.until(lambda: listening(place.mllp))
    again: set[int] = set()
    send(place.mllp, list(range(total)), again)  # the sender repeats everything: it cannot know what was stored unanswered
    assert again == set(range(total))
    process.terminate()
    process.wait(PATIENCE)
    assert place.rows("SELECT count(*), count(DISTINCT digest) FROM message") == [(total, total)]
    assert place.rows("SELECT count(*) FROM record_version") == [(total,)]
    assert place.rows("SELECT count(*) FROM resource WHERE type = 'Observation'") == [(20 * total,)]
    assert place.rows("SELECT max(version) FROM resource WHERE type <> 'Patient'") == [(1,)]
    assert place.rows("SELECT count(*) FROM resource LEFT JOIN index_row USING (rid) WHERE index_row.rid IS NULL") == [(0,)]


def readings(path: Path, rows: int, note: str = "") -> int:
    """Writes an export of a village's blood pressure meter; its size in bytes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for n in range(rows):
            moment = f"2026-02-{1 + n % 28:02d} {n % 24:02d}:{n % 60:02d}:00"
            who = n % 300
            pressure = ["16.0", "10.7", "72", "", "", "", "M1", "李医生"]
            writer.writerow([f"S{n:07d}", moment, id_card(who), "", f"测试{who}", "", moment, *pressure, note])
    return path.stat().st_size


def test_a_large_file_killed_half_way_is_finished_once(place: Place) -> None:
    rows = 2500
    export = place.folder / "export.csv"
    assert readings(export, rows, "读" * 1000) > 6 << 20  # smaller files are one commit
    process = place.run("ingest", "meters", str(export), code=DIES)
    assert process.wait(PATIENCE * 2) == -signal.SIGKILL
    ((half,),) = place.rows("SELECT count(*) FROM record_version")
    assert 0 < half < rows
    assert place.run("ingest", "meters", str(export)).wait(PATIENCE * 2) in (0, 1)
    assert place.rows("SELECT count(*) FROM record_version") == [(rows,)]
    assert place.rows("SELECT count(*) FROM record") == [(rows,)]
    assert place.rows("SELECT state, rows FROM message") == [("mapped", rows)]
    assert place.rows("SELECT max(version) FROM resource WHERE type <> 'Patient'") == [(1,)]


def test_a_file_of_70_megabytes_passes_in_bounded_memory(place: Place) -> None:
    export = place.folder / "export.csv"
    assert readings(export, 6000, "读" * 4000) > 70_000_000
    peak = _peak(place.run("ingest", "meters", str(export)))
    assert place.rows("SELECT count(*) FROM record") == [(6000,)]
    assert peak < 400 * 1024  # KiB: the program, two page caches of 64 MB, a few batches of 200 rows


def _peak(process: subprocess.Popen[bytes]) -> int:
    """Peak resident memory of a process in KiB, watched until it ends. Not `ru_maxrss`: a child starts with its parent's there."""
    peak = 0
    while process.poll() is None:
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text("utf-8"))
            peak = max(peak, int(found[1])) if found else peak
        time.sleep(0.05)
    assert process.returncode in (0, 1)
    assert peak > 50 * 1024, "the process was seen"
    return peak
