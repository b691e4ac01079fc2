"""The first rows of several sources are read at the same moment, in threads of their own."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import importlib, sys, threading
from adapters.sqlview import lines
sys.setswitchinterval(1e-6)
text = b'{"profile":"a/b","rows":[{"a":"1"}],"children":{"g":[{"cells":{"x":"1"},"children":{}}]}}'

def first(gate, read):
    gate.wait()
    read.append(lines.Line.decode(text).rows)

for _ in range(40):
    importlib.reload(lines)  # its classes are as new as in a process that just started
    gate, read = threading.Barrier(8), []
    threads = [threading.Thread(target=first, args=(gate, read)) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert read == [[{"a": "1"}]] * 8
"""


def test_eight_threads_read_their_first_line_at_once() -> None:
    """With the struct's fields found out in the threads, this ends with SIGSEGV nearly every time."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
