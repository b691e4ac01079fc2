"""Layouts of the built-in source profiles, for tests of the adapter without the mapping engine."""

from __future__ import annotations

import tomllib

from gateway.adapter import GroupLayout, Layout
from gateway.builtin import MAPPINGS


def layout(dataset: str, profile: str = "wst500") -> Layout:
    """The layout of `mappings/clinical/<dataset>/sources/<profile>.toml`."""
    raw = tomllib.loads((MAPPINGS / "clinical" / dataset / "sources" / f"{profile}.toml").read_text("utf-8"))
    groups = {name: GroupLayout(each=group["each"], fields=group["fields"]) for name, group in raw["groups"].items()}
    return Layout(dataset, f"{dataset}/{profile}", raw["fields"], groups, message=raw["message"], options=raw.get("options", {}))


def small(fields: dict[str, str], groups: dict[str, GroupLayout] | None = None, **more: object) -> Layout:
    """A layout for C0007 with these fields only."""
    return Layout("test", "test/small", fields, groups or {}, message=["C0007"], **more)  # type: ignore[arg-type]  # keyword arguments of a test
