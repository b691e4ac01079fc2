"""The garbage collector of a process that runs on: what was loaded stays, and is not walked again and again."""

from __future__ import annotations

import gc

__all__ = ["settle"]

THRESHOLDS = (20_000, 20, 50)
"""Objects, and rounds of the younger generation, after which a generation is collected: a group of records makes some ten thousand objects
that die with it."""


def settle() -> None:
    """To be called once maps, tables and definitions are loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
