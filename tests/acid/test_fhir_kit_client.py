"""fhir-kit-client, unmodified, under Node against the gateway (https://www.npmjs.com/package/fhir-kit-client). YIFANG_TEST_NODE names the folder
of `node_modules` that holds it; `python -m tests.services node -- …` installs it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kit.cjs")


@pytest.mark.node
def test_fhir_kit_client_does_all_its_scenarios(base: str) -> None:
    environment = os.environ | {"NODE_PATH": os.environ["YIFANG_TEST_NODE"]}
    done = subprocess.run(["node", str(SCRIPT), base], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    there = re.findall(r"^  async (?:\"([^\"]+)\"|(\w+))\(\)", SCRIPT.read_text("utf-8"), re.M)
    assert done.stdout.splitlines() == [f"ok {quoted or plain}" for quoted, plain in there]
