"""The wheel works outside the checkout: built, installed elsewhere, and the demo runs from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"PYTHONUTF8": "1"}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT, cwd=ROOT)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that holds the wheel; the dependencies come from this environment's folder, the checkout does not
    (a folder named in a .pth file does not bring its own .pth files, so the editable install stays behind)."""
    home = tmp_path_factory.mktemp("elsewhere") / "env"
    venv.create(home, with_pip=False)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel, cwd=home)
    return python


@pytest.mark.slow
def test_the_wheel_holds_the_data_and_the_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"gateway/py.typed", "adapters/py.typed"} <= set(names)
    assert any(n.startswith("gateway/_builtin/mappings/") and n.endswith(".map") for n in names)
    assert any(n.startswith("gateway/_builtin/profiles/r4/") for n in names)
    assert any(n.startswith("gateway/store/migrations/versions/") for n in names)
    assert not [n for n in names if n.startswith(("tests/", "tools/", "docs/", "mappings/", "profiles/"))]


@pytest.mark.slow
def test_the_code_comes_from_the_wheel(python: Path, tmp_path: Path) -> None:
    found = run(python, "-c", "import gateway, adapters; print(gateway.__file__); print(adapters.__file__)", cwd=tmp_path)
    assert all(str(python.parent.parent) in line for line in found.splitlines())


@pytest.mark.slow
def test_maps_check_and_the_demo_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    run(python, "-m", "gateway", "map", "check", cwd=tmp_path)
    run(python, "-m", "gateway", "demo", "--once", "--residents", "30", "--report", "r.json", cwd=tmp_path)
    report = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert (report["lost"], report["duplicated"], report["second_run"]["new_versions"]) == (0, 0, 0)
    assert {s["adapter"] for s in report["sources"]} == {"sqlview", "hl7v2", "cda", "sheet", "restjson"}
