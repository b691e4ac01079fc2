"""Processes that write to one embedded database take turns: the one that waits goes before the one that has just written."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from gateway.store.turnstile import Turnstile

WRITER = """
import sys, time
from pathlib import Path
from gateway.store.turnstile import Turnstile

turnstile = Turnstile(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    with turnstile:
        began = time.monotonic()
        time.sleep(0.005)
        print(began, time.monotonic(), flush=True)
"""


def writer(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_never_write_at_once_and_neither_passes_the_other_again_and_again(tmp_path: Path) -> None:
    processes = [writer(tmp_path), writer(tmp_path)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    turns: list[tuple[float, float, int]] = []
    for n, process in enumerate(processes):
        told, _ = process.communicate(timeout=60)
        turns += [(float(began), float(ended), n) for began, ended in (line.split() for line in told.splitlines())]
    turns.sort()
    assert len(turns) == 40
    assert all(before[1] <= after[0] for before, after in pairwise(turns)), "two were inside at once"
    both = turns[next(i for i, t in enumerate(turns) if t[2] != turns[0][2]) :]  # from when both were at it
    both = both[: 1 + max(i for i, t in enumerate(both) if any(u[2] != t[2] for u in both[i:]))]  # until one had done
    passed = sum(a[2] == b[2] for a, b in pairwise(both))
    assert passed <= 4, f"one went twice in a row {passed} times: {[t[2] for t in turns]}"


def test_a_process_that_dies_inside_leaves_the_way_free(tmp_path: Path) -> None:
    holder = "import sys, time; from pathlib import Path; from gateway.store.turnstile import Turnstile\n"
    holder += "t = Turnstile(Path(sys.argv[1])); t.__enter__(); print('in', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    process.kill()
    process.communicate()
    began = time.monotonic()
    with Turnstile(tmp_path):
        assert time.monotonic() - began < 5
