"""docs/mapping-guide.md is held to the product: its vendor sample runs, its lists name every function and every message of the checker."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

from gateway.builtin import MAPPINGS
from gateway.mapping import golden
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles
from gateway.mapping.functions import load_all

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "mapping-guide.md").read_text("utf-8")
FOLDER = "public_health/hypertension_followup"


def block(language: str) -> str:
    """The guide's one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.M | re.S)
    return str(found)


def function_rows() -> list[str]:
    """The rows of the guide's function list, as the functions' own specifications give them."""
    rows = []
    for name, function in sorted(load_all().items()):
        required = len(function.args) - function.optional
        args = ", ".join(a if i < required else f"[{a}]" for i, a in enumerate(function.args))
        rows.append(f"| `{name}{f'({args})' if args else ''}` | {function.gives} | {function.doc.replace('|', chr(92) + '|')} |")
    return rows


def test_the_function_list_is_that_of_the_registry() -> None:
    listed = GUIDE.partition("<!-- functions:begin")[2].partition("<!-- functions:end")[0].splitlines()
    found = [line for line in listed if line.startswith("| `")]
    assert found == function_rows(), "put these rows between the markers of docs/mapping-guide.md:\n" + "\n".join(function_rows())


def test_the_vendor_of_the_guide_checks_and_runs() -> None:
    files = dict(MapFiles.from_folders([MAPPINGS]).items())
    example = json.loads(block("json"))
    files[f"{FOLDER}/sources/{example['profile']}.toml"] = block("toml").encode()
    catalogue = Catalogue(MapFiles(files), {"sheet": import_module("adapters.sheet").adapter})
    own = [str(f) for f in catalogue.entry("hypertension_followup").faults if example["profile"] in str(f)]
    assert own == []
    outcome = golden.run(catalogue, golden.Example("hypertension_followup", "guide", f"{FOLDER}/examples/guide.in.json", example["profile"], example))
    assert '"138"' not in outcome.bundle
    assert '"value": 138' in outcome.bundle
    assert not any(line.startswith("hold") for line in outcome.findings.splitlines())


def test_every_message_of_the_checker_is_explained() -> None:
    sources = [*(ROOT / "gateway" / "mapping" / "check").glob("*.py"), *((ROOT / "gateway" / "mapping").glob("*.py"))]
    raised = {
        code for path in sources for code in re.findall(r'(?:Fault|fault|wrong|_add)\((?:[^"\n]|\n)*?"([a-z]+(?:-[a-z]+)+)"', path.read_text("utf-8"))
    }
    known = {code for code in raised if not code.startswith("fields-")}
    explained = set(re.findall(r"[a-z]+(?:-[a-z]+)+", GUIDE))
    assert {"unknown-field", "unused-field", "each-without-key"} <= known
    assert known - explained == set()
