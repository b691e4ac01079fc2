"""The built-in maps with every installed adapter, read and compiled once a process: tests ask them and never change them."""

from __future__ import annotations

from functools import cache

from gateway.builtin import MAPPINGS
from gateway.cli.context import adapters
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.files import MapFiles


@cache
def built_in() -> Catalogue:
    """The catalogue."""
    return Catalogue(MapFiles.from_folders([MAPPINGS]), adapters())
