"""Commands as a person types them, in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

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
built = cache(typer.main.get_command)
"""The tree of commands, which is the same for every call of this process."""


@pytest.fixture
def yifang(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, logging_put_back: None) -> Yifang:
    """Runs one command in this process. `serve` sets the logs up on the test's standard error, which is closed with it."""
    monkeypatch.setattr(typer.main, "get_command", built)

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
