"""Where the built-in data (mappings, profiles) lies: inside the wheel as `gateway/_builtin/`, in a checkout beside the package."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Path of the built-in `mappings` or `profiles` folder."""
    inside = _HERE / "_builtin" / name
    return inside if inside.is_dir() else _HERE.parent / name


MAPPINGS = folder("mappings")
PROFILES = folder("profiles")
