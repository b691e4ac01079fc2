"""The documentation is held to the product: every command block runs, every command, setting and route is described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import references

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
RUNNABLE = {"sh", "bash", "shell", "console"}
PRELUDE = """set -euo pipefail
make() { command make --no-print-directory -n -C "$REPOSITORY" "$@" >/dev/null; }  # the suite runs inside `make test`: dry runs only
git() { echo "git $*"; }
cd() { [ "$1" = yifang ] || command cd "$@"; }
command -v curl >/dev/null || curl() { (command cd "$REPOSITORY" && PAGE="$OLDPWD" python -m tests.curl "$@"); }  # the suite needs none
finish() { local status=$?; for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done; wait; exit $status; }
trap finish EXIT
"""


def blocks(page: Path) -> list[str]:
    """Texts of the page's command blocks, in order."""
    return [text for language, text in BLOCK.findall(page.read_text("utf-8")) if language in RUNNABLE]


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_block_of_a_page_runs_in_order(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "samples").symlink_to(ROOT / "docs" / "samples")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "REPOSITORY": str(ROOT),
        "PYTHONUTF8": "1",
        "COLUMNS": "200",
    }
    script = PRELUDE + "\n".join(blocks(page))
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{script}\n--- stdout\n{done.stdout[-4000:]}\n--- stderr\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_says_what_it_is_and_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", BLOCK.sub("", text)):
        assert (page.parent / target).exists(), f"{page.name}: link to {target}"
    assert text.count("```") % 2 == 0


@pytest.mark.parametrize("name", sorted(references.PAGES))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == references.PAGES[name](), "run `make docs`"


def test_every_route_is_described() -> None:
    source = (ROOT / "gateway" / "http" / "app.py").read_text("utf-8")
    described = (ROOT / "docs" / "api.md").read_text("utf-8")
    routes = re.findall(r'add_api_route\("([^"]+)"', source)
    assert len(routes) >= 5  # those of FHIR are in gateway/http/registry.py
    for route in routes:
        assert f"`{route}`" in described.replace("{type}", "{type_}").replace("{id}", "{id_}"), f"docs/api.md does not describe {route}"


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    done = subprocess.run(["bash", "-c", PRELUDE + "false\ntrue"], cwd=tmp_path, env=os.environ | {"REPOSITORY": str(ROOT)}, check=False)
    assert done.returncode == 1
