"""How the benchmarks measure: two ways of doing one thing, alternating in one run; medians; a figure with its target."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. ratio = ours / reference. met: None when there is no target or no reference to hold it against.
    note: what the figure depends on, or why there is no reference."""

    name: str
    unit: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For build/bench.json."""
        return asdict(self)


def against(
    name: str, unit: str, ours: Sequence[float], reference: Sequence[float], how: Literal["at most", "at least"], limit: float, note: str = ""
) -> Figure:
    """A figure from rounds that alternated: medians, and the median of the ratios of rounds. Fewer than one round is an error."""
    ratio = statistics.median(a / b for a, b in zip(ours, reference, strict=True))
    met = ratio <= limit if how == "at most" else ratio >= limit
    sign = "≤" if how == "at most" else "≥"
    return Figure(name, unit, statistics.median(ours), statistics.median(reference), ratio, f"{sign} {limit:g}×", met, note)


def below(name: str, unit: str, ours: Sequence[float], limit: float, note: str = "") -> Figure:
    """A figure with an absolute target."""
    middle = statistics.median(ours)
    return Figure(name, unit, middle, target=f"< {limit:g} {unit}", met=middle < limit, note=note)


def alternate(ours: Callable[[int], object], reference: Callable[[int], object], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of processor time of both, round by round; the first round, in which caches fill, does not count. The argument is the
    round's number, so that no round sees the same input again."""
    a: list[float] = []
    b: list[float] = []
    for n in range(rounds + 1):
        began = time.process_time()
        ours(n)
        between = time.process_time()
        reference(n)
        ended = time.process_time()
        if n:
            a.append(between - began)
            b.append(ended - between)
    return a, b
