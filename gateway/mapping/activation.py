"""May a changed file set take effect? Only when it checks, its goldens pass and no identity changed unsaid."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.mapping import golden
from gateway.mapping.catalogue import Catalogue
from gateway.mapping.check import check_change
from gateway.mapping.model import Fault


@dataclass(slots=True)
class Verdict:
    """What stands against a file set. differences: example path -> lines of the difference."""

    faults: list[Fault] = field(default_factory=list)
    differences: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether the set may take effect."""
        return not self.faults and not self.differences

    def lines(self) -> list[str]:
        """For people: faults, then differences."""
        return [str(f) for f in self.faults] + [line for lines in self.differences.values() for line in lines]


def verdict(after: Catalogue, before: Catalogue | None = None) -> Verdict:
    """Checks the new set, against the active one where there is one. Goldens run only when the maps check."""
    made = Verdict(list(after.faults))
    if before is not None:
        for name in set(before.datasets) & set(after.datasets):
            old, new = before.entry(name).plan, after.entry(name).plan
            if old is not None and new is not None:
                check_change(old, new, made.faults)
    if not made.faults:
        made.differences = {o.example.path: difference for o, difference in golden.test(after) if difference}
    return made
