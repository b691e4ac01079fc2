"""Each layer imports only the layers above it (docs/contracts.md, "Layers")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS: list[set[str]] = [
    {
        "gateway",
        "gateway.errors",
        "gateway.clock",
        "gateway.collector",
        "gateway.config",
        "gateway.record",
        "gateway.builtin",
        "gateway.log",
        "gateway.occupancy",
    },
    {"gateway.fhir"},
    {"gateway.identity"},
    {"gateway.adapter", "gateway.tabular", "gateway.folder"},
    {"gateway.terminology"},
    {"gateway.validation"},
    {"gateway.mapping"},
    {"gateway.metrics"},
    {"gateway.store"},
    {"gateway.views"},
    {"gateway.upstream"},
    {"gateway.outbox", "gateway.notify"},
    {"gateway.pipeline"},
    {"gateway.site"},
    {"gateway.commands", "gateway.http"},
    {"gateway.silence"},
    {"gateway.service"},
    {"gateway.demo"},
    {"gateway.cli", "gateway.__main__"},
]
"""From the top down; a module may import its own row and the rows before it."""

ADAPTERS_MAY = {"gateway.adapter", "gateway.tabular", "gateway.folder", "gateway.record", "gateway.errors", "gateway.clock"}


def row_of(module: str) -> int | None:
    """Index of the layer that holds the module."""
    for i, row in enumerate(LAYERS):
        if any(module == name or (name != "gateway" and module.startswith(name + ".")) for name in row):
            return i
    return None


def imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every gateway or adapters module that the file imports, at any depth."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join(parts[: len(parts) - node.level + 1] + ([base] if base else []))
            names = [f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] in ("gateway", "adapters"))


def is_module(name: str) -> bool:
    """Whether the dotted name is a file or package of this repository."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def modules(top: str) -> list[tuple[str, Path]]:
    """Every module below a top package, with its file."""
    found = []
    for path in sorted((ROOT / top).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


@pytest.mark.parametrize(("module", "path"), modules("gateway"), ids=lambda v: v if isinstance(v, str) else "")
def test_a_module_imports_only_its_own_layer_and_those_above(module: str, path: Path) -> None:
    own = row_of(module)
    assert own is not None, f"{module} stands in no layer: add it to docs/contracts.md and to LAYERS"
    for line, name in imports(path, module):
        assert not name.startswith("adapters"), f"{path}:{line}: gateway never imports adapters"
        row = row_of(name)
        assert row is not None and row <= own, f"{path}:{line}: {module} imports {name}, a lower layer"


@pytest.mark.parametrize(("module", "path"), modules("adapters"), ids=lambda v: v if isinstance(v, str) else "")
def test_an_adapter_imports_only_the_contract(module: str, path: Path) -> None:
    own = ".".join(module.split(".")[:2])
    for line, name in imports(path, module):
        assert name in ADAPTERS_MAY or name == own or name.startswith(own + "."), f"{path}:{line}: {module} imports {name}"


def test_a_forbidden_import_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("from gateway.store import search\ndef f():\n    import adapters.cda\n")
    assert [name for _, name in imports(file, "gateway.fhir.x")] == [
        "gateway.store.search" if is_module("gateway.store.search") else "gateway.store",
        "adapters.cda",
    ]
