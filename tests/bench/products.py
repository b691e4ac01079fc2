"""The two products under traffic, each in a process of its own: `yifang serve`, and MessageFoundry 0.2.1 from an environment of its own.

MessageFoundry (AGPL) is run as it comes: installed from the package index into build/messagefoundry, one MLLP inbound, one handler that
passes the message on, one MLLP outbound, its embedded SQLite store with its default settings. Nothing of it is imported here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "0.2.1"
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds for a product to listen


class Unavailable(Exception):
    """The reference cannot be had here; the text says why."""


CONFIGURATION = """
[http]
port = 0

[log]
level = "error"

[[source]]
name = "lis"
adapter = "hl7v2"
profiles = ["hl7v2_oru/standard"]
authority = "https://lis.bench.test"
organisation = "H39010000001"
[source.options]
port = {port}
"""

DESTINATION = """
[[destination]]
name = "sink"
url = "http://127.0.0.1:{sink}/fhir"
"""

FEED = """
from messagefoundry import MLLP, Send, handler, inbound, outbound, router

inbound("IB_BENCH_ORU", MLLP(port={port}), router="bench_router")
outbound("MLLP-OUT_BENCH_ORU", MLLP(host="127.0.0.1", port={sink}))


@router("bench_router")
def route(msg):
    return ["bench_forward"]


@handler("bench_forward")
def forward(msg):
    return Send("MLLP-OUT_BENCH_ORU", msg)
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def yifang(folder: Path, sink: int | None) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The gateway on an empty SQLite database; its MLLP port. sink: port of the FHIR server that everything is delivered to."""
    folder.mkdir(parents=True)
    port = free_port()
    text = CONFIGURATION.format(port=port) + (DESTINATION.format(sink=sink) if sink is not None else "")
    (folder / "yifang.toml").write_text(text, "utf-8")
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "yifang.toml")]
    with running(command, folder, port, dict(os.environ)) as process:
        yield port, process


@contextmanager
def message_foundry(folder: Path, python: Path, sink: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """MessageFoundry on an empty SQLite database; its MLLP port. sink: port of the MLLP server that everything is delivered to."""
    (folder / "config").mkdir(parents=True)
    (folder / "environments").mkdir()
    (folder / "environments" / "dev.toml").write_text("", "utf-8")
    port = free_port()
    (folder / "config" / "feed.py").write_text(FEED.format(port=port, sink=sink), "utf-8")
    (folder / "messagefoundry.toml").write_text('[ai]\nenvironment = "dev"\n', "utf-8")
    command = [str(python), "-m", "messagefoundry", "serve", "--config", "config", "--env", "dev", "--db", "store.db", "--port", str(free_port()),
               "--log-level", "ERROR"]  # fmt: skip
    with running(command, folder, port, {**os.environ, "PYTHONPATH": ""}) as process:
        yield port, process


@contextmanager
def running(command: list[str], folder: Path, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder if "messagefoundry" in command else ROOT, stdout=output, stderr=output, env=environment)
        try:
            until = time.monotonic() + PATIENCE
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise Unavailable(f"{command[2]} does not listen: {(folder / 'output.txt').read_text('utf-8', 'replace')[-600:]}")
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def reference_python(build: Path) -> Path:
    """The interpreter of MessageFoundry's environment, made when missing. Raises Unavailable when the package index is away."""
    folder = build / "messagefoundry"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / f"installed-{VERSION}"
    if not done.exists():
        steps = [[sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "--quiet", f"messagefoundry=={VERSION}"]]
        for step in steps:
            made = subprocess.run(step, capture_output=True, text=True, check=False)
            if made.returncode:
                raise Unavailable(f"MessageFoundry {VERSION} could not be installed: {made.stderr.strip()[-300:]}")
        done.touch()
    return python
