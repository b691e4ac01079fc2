"""The checks in order."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.mapping import plan as plans
from gateway.mapping.model import Fault, MapTree
from gateway.mapping.resolve import Knowledge
from gateway.terminology.tables import CodeTable, Terms


def plan(made: plans.MapPlan, tree: MapTree, known: Knowledge, faults: list[Fault]) -> None:
    """All checks of one map."""


def profile_tables(made: plans.MapPlan, own: Mapping[str, Mapping[str, CodeTable]], faults: list[Fault]) -> None:
    """A vendor's own code tables against the lists of the fields that they translate."""


def tables(terms: Terms, files: Mapping[str, bytes]) -> list[Fault]:
    """National tables by themselves."""
    return []
