"""HAPI's instance validator as a judge of files; its verdicts are kept by the content of the file.

Needs Java 17 and Maven. It is built into `build/hapi-validate` from `tests/hapi` (a folder of its own, so that a server that runs is left alone).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "hapi-validate"
KEPT = ROOT / "build" / "conformance" / "verdicts.json"


class Hapi:
    """A running validator: one line in, one line out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._kept: dict[str, str] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}

    def verdicts(self, files: Iterable[Path]) -> dict[Path, str]:
        """The first error of each file, "" when it has none."""
        found: dict[Path, str] = {}
        for number, file in enumerate(files):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            if digest not in self._kept:
                verdict, *rest = self._ask(str(file)).split("\t")
                self._kept[digest] = "" if verdict == "ok" else rest[1]
                if number % 100 == 0:
                    self.keep()
            found[file] = self._kept[digest]
        self.keep()
        return found

    def microseconds(self, file: Path, runs: int) -> int:
        """The best of so many validations of a file, warm."""
        return int(self._ask(f"time {runs} {file}").split("\t")[1])

    def keep(self) -> None:
        """Writes the verdicts."""
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(json.dumps(self._kept), "utf-8")

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"HAPI's validator ended at {line}")
        return answer.rstrip("\n")


@contextmanager
def running() -> Iterator[Hapi]:
    """HAPI's validator, built when its sources changed, and ended at the end."""
    _build()
    command = ["java", "-Xmx2g", "-cp", f"{BUILD}/classes:{BUILD}/lib/*", "yifang.Validate"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield Hapi(process)
        finally:
            process.terminate()


def _build() -> None:
    source = ROOT / "tests" / "hapi"
    stamp = BUILD / "built"
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in [source / "pom.xml", *sorted((source / "src").rglob("*.*"))])).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    if shutil.which("mvn") is None:
        raise SystemExit("mvn is not on PATH; install Maven 3.8 or later and a JDK 17")
    shutil.rmtree(BUILD, ignore_errors=True)
    subprocess.run(["mvn", "-q", "-B", "-f", str(source / "pom.xml"), f"-Dbuild.folder={BUILD}", "package"], check=True)
    stamp.write_text(digest)
