"""One process at a time works on an embedded database, and commands find it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import Conflict
from gateway.occupancy import NOTE, announce, occupy, running

HOLD = """
import sys, pathlib
from gateway.occupancy import announce, occupy
with occupy(pathlib.Path(sys.argv[1])), announce(pathlib.Path(sys.argv[1]), "http://127.0.0.1:9/"):
    print("held", flush=True)
    sys.stdin.readline()
    import os; os._exit(1)
"""


def test_a_free_folder_has_no_server(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    with occupy(tmp_path):
        pass
    assert running(tmp_path) is None


def test_another_process_is_found_and_keeps_others_out_until_it_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        found = running(tmp_path)
        assert found is not None and (found.pid, found.url) == (other.pid, "http://127.0.0.1:9/")
        with pytest.raises(Conflict, match="另一个 yifang 进程"), occupy(tmp_path):
            pass
        other.communicate(b"\n")
    assert (tmp_path / NOTE).exists(), "it died without tidying up"
    assert running(tmp_path) is None, "a note left by a crash is not believed"
    with occupy(tmp_path):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows protects the profile folder instead of the file mode")
def test_the_note_is_for_its_own_user_only(tmp_path: Path) -> None:
    with occupy(tmp_path), announce(tmp_path, "http://127.0.0.1:9/"):
        assert stat.S_IMODE((tmp_path / NOTE).stat().st_mode) == 0o600
