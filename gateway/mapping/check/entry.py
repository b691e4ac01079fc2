"""The checks in order."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.mapping import plan
from gateway.mapping.check import codes, profiles, required, types, usage
from gateway.mapping.check.codes import check_all_tables, check_own
from gateway.mapping.model import Fault
from gateway.mapping.profile import Profile
from gateway.mapping.resolve import Knowledge


def check_plan(made: plan.MapPlan, own: Mapping[str, Profile], known: Knowledge, faults: list[Fault]) -> None:
    """All checks of one map. Where lines could not be resolved, what they would have written is not reported as missing too."""
    broken = any(f.place.file == made.file for f in faults)
    types.check(made, known.r4, faults)
    codes.check(made, known.terms, known.r4, faults)
    if not broken:
        usage.check(made, own, faults)
        required.check(made, faults)
        profiles.check(made, known.profiles, faults)


__all__ = ["check_all_tables", "check_own", "check_plan"]
