"""Another process on the same database follows the active map set at its next message, without a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import samples
from tests.faults.town import Town, until
from tests.live.test_activation import MAP, NEW_TITLE, TITLE, posted, title

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import json, sys
from pathlib import Path
from gateway.config import parse
from gateway.record import Incoming
from gateway.site import Site
from gateway.store import resources
from tests.faults.town import adapters


config = json.loads(sys.argv[1])
site = Site.open(parse(config, Path(sys.argv[2]) / "yifang.toml"), adapters())
site.start()
print("ready", flush=True)
for line in sys.stdin:
    receipt = site.gateway.accept("village-post", Incoming(line.encode(), "application/json")).result(30)
    (outcome,) = receipt.outcomes
    print(json.dumps({"state": outcome.state, "resources": [list(r) for r in outcome.resources]}), flush=True)
site.stop()
site.close()
"""


class Other:
    """A second gateway process on the town's database."""

    def __init__(self, town: Town) -> None:
        raw = json.dumps(town.raw | {"source": [town.source("village-post")]})
        command = [sys.executable, "-c", CHILD, raw, str(town.root)]
        self.log = town.root / "other.log"
        errors = self.log.open("wb")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True
        )
        errors.close()
        assert self.line() == "ready"

    def line(self) -> str:
        """The next line it says, log lines left out."""
        assert self.process.stdout is not None
        while True:
            said = self.process.stdout.readline()
            assert said, self.log.read_text("utf-8")
            if said.startswith(("ready", "{")):
                return said.strip()

    def send(self, reading: dict[str, Any]) -> dict[str, Any]:
        """The outcome of a reading that this process takes."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(reading) + "\n")
        self.process.stdin.flush()
        outcome: dict[str, Any] = json.loads(self.line())
        outcome["resources"] = [{"type": t, "id": i, "version": v} for t, i, v in outcome["resources"]]
        return outcome

    def close(self) -> None:
        """Ends it and waits."""
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0


@pytest.fixture
def other(town: Town) -> Iterator[Other]:
    """The second process, running."""
    made = Other(town)
    yield made
    made.close()


def test_a_second_process_follows_the_active_set(town: Town, other: Other) -> None:
    assert title(town, other.send(samples.reading(samples.resident()))) == "血压"
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))
    assert title(town, other.send(samples.reading(samples.resident()))) == "血压"
    town.accept("village_reading")
    assert town.command("map.activate")["state"] == "active"
    assert title(town, posted(town)) == "血压(坐位)"
    until(lambda: title(town, other.send(samples.reading(samples.resident()))) == "血压(坐位)", 10)


def test_what_is_refused_is_refused_for_every_process(town: Town, other: Other) -> None:
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))  # its goldens differ, and nobody accepted them
    with pytest.raises(Exception, match="已接受"):
        town.command("map.activate")
    for _ in range(3):
        assert title(town, other.send(samples.reading(samples.resident()))) == "血压"
    assert title(town, posted(town)) == "血压"


def test_a_restart_keeps_the_active_set_not_the_folder(town: Town) -> None:
    town.edit(MAP, lambda text: text.replace(TITLE, NEW_TITLE))
    town.restart(lambda _raw: None)
    assert title(town, posted(town)) == "血压"
    town.accept("village_reading")
    town.command("map.activate")
    town.restart(lambda _raw: None)
    assert title(town, posted(town)) == "血压(坐位)"
