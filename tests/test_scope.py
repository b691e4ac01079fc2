"""design/store.md, "Every read of the store takes a Scope": what is a resident's is read in the store alone, by functions that are told who reads."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import gateway

ROOT = Path(gateway.__file__).parent
PERSONAL = ("resource", "resource_history", "source_patient", "patient_number", "patient_link", "index_row", "index_string")
"""Tables that hold what is said of residents."""
WRITERS = {
    "unit", "apply", "composer", "residents", "flush", "writer", "settlement", "tables", "deliveries", "raw", "database",
    "index/write", "index/tables", "index/drive", "index/statements", "api/mentions", "api/followed", "reindex",
}  # fmt: skip
"""Modules of the store that write, deliver (to a server that holds everything) or serve those that were given a Scope."""
READS = re.compile(r"(?:\b(?:FROM|JOIN)\s+|\btables\.|\bt\.)(" + "|".join(PERSONAL) + r")\b")
MODULES = sorted(ROOT.rglob("*.py"))


def reads(node: ast.AST, source: str) -> bool:
    """Whether the code speaks of a personal table, in SQL or by SQLAlchemy."""
    return READS.search(ast.get_source_segment(source, node) or "") is not None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_read_of_residents_data_without_a_scope(path: Path) -> None:
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    source = path.read_text("utf-8")
    if not name.startswith("store/"):
        assert not READS.search(source), f"{name} reads a table of residents itself; use gateway/store with a Scope"
        return
    if name.removeprefix("store/") in WRITERS or name.startswith("store/migrations/"):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_") and reads(node, source):
            names = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
            assert "scope" in names, f"{name}:{node.lineno} {node.name} reads residents' data without a Scope"


def test_the_test_finds_a_read_without_a_scope() -> None:
    source = 'def peek(connection):\n    return connection.execute("SELECT content FROM resource WHERE rid = 1")\n'
    assert reads(ast.parse(source).body[0], source)
    assert not reads(ast.parse("x = resource_type(1)").body[0], "x = resource_type(1)")
