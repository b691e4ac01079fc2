"""Commands as a person types them, in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Yifang = Callable[..., Done]


@pytest.fixture
def yifang(capfdbinary: pytest.CaptureFixture[bytes]) -> Yifang:
    """Runs one command in this process."""

    def run(*arguments: object) -> Done:
        capfdbinary.readouterr()
        try:
            main([str(a) for a in arguments])
            code = 0
        except SystemExit as e:
            code = int(e.code or 0)
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return run


@pytest.fixture
def county(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yifang: Yifang) -> Path:
    """A folder with what `yifang init` writes, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    assert yifang("init").code == 0
    return tmp_path
