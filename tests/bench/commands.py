"""What a person waits for: `yifang map check`, the start of `yifang serve`, and what the gateway holds in memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from tests.bench.measure import Figure, below
from tests.bench.products import CONFIGURATION, ROOT, free_port


def map_check(rounds: int) -> Figure:
    """Seconds of the whole command."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gateway", "map", "check"], cwd=ROOT, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return below("yifang map check, all datasets", "s", seconds, 3)


def serve(rounds: int, build: Path) -> list[Figure]:
    """Seconds from the command to the first /ready that says yes, on a database that exists; resident memory then."""
    folder = build / "serve"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "yifang.toml").write_text(CONFIGURATION.format(port=free_port()), "utf-8")
    seconds, megabytes = [], []
    for n in range(rounds + 1):
        took, held = _start(folder)
        if n:  # the first makes the database
            seconds.append(took)
            megabytes.append(held)
    shutil.rmtree(folder)
    return [below("yifang serve, start to ready", "s", seconds, 3), below("yifang serve, resident memory", "MB", megabytes, 150)]


def _start(folder: Path) -> tuple[float, float]:
    port = free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(folder / "yifang.toml"), "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _ready(f"http://127.0.0.1:{port}/ready"):
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise RuntimeError("yifang serve did not start")
            time.sleep(0.02)
        return time.perf_counter() - began, psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            json.loads(answer.read())
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False
