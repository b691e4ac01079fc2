"""The ViewDefinitions at hand by name: those of the product, and the site's own over them (`views/*.json` of its profiles folder)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway.builtin import PROFILES
from gateway.errors import ConfigError
from gateway.fhir import json
from gateway.views.definition import ViewError
from gateway.views.view import View, compile_view

__all__ = ["read_view", "views"]


def views(profiles: Path | None) -> Mapping[str, View]:
    """Views by name. profiles: the site's folder. Raises ConfigError for one that cannot be used."""
    found: dict[str, View] = {}
    for folder in (PROFILES, profiles):
        for file in sorted((folder / "views").glob("*.json")) if folder is not None else ():
            view = read_view(file)
            found[view.name] = view
    return found


def read_view(file: Path) -> View:
    """The view of a file; without a name of its own it has the file's. Raises ConfigError with every fault, one a line."""
    try:
        body = json.decode(file.read_bytes())
    except (OSError, ValueError) as e:
        raise ConfigError(f"{file}: 读不出 JSON({e})") from e
    try:
        view = compile_view(body)
    except ViewError as e:
        raise ConfigError("\n".join(f"{file}: {line}" for line in str(e).splitlines())) from e
    return view if view.name else replace(view, name=file.stem)
