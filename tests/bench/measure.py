"""How the benchmarks measure: two ways of doing one thing, alternating in one run; medians; a figure with its target."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

PROCESSORS = Path("/proc/stat")


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

    def named(self, name: str) -> Figure:
        """The same under another name."""
        return replace(self, name=name)


def against(
    name: str, unit: str, ours: Sequence[float], reference: Sequence[float], how: Literal["at most", "at least"], limit: float, note: str = ""
) -> Figure:
    """A figure from rounds that alternated: medians, and the median of the ratios of rounds. Fewer than one round is an error."""
    ratio = statistics.median(a / b for a, b in zip(ours, reference, strict=True))
    met = ratio <= limit if how == "at most" else ratio >= limit
    sign = "≤" if how == "at most" else "≥"
    return Figure(name, unit, statistics.median(ours), statistics.median(reference), ratio, f"{sign} {limit:g}×", met, note)


def quicker(name: str, ours: Sequence[float], reference: Sequence[float], limit: float, note: str = "") -> Figure:
    """Milliseconds of rounds that alternated: medians; the ratio says how many times as quick ours is, the median of the rounds."""
    ratio = statistics.median(b / a for a, b in zip(ours, reference, strict=True))
    return Figure(name, "ms", statistics.median(ours), statistics.median(reference), ratio, f"≥ {limit:g}×", ratio >= limit, note)


def elsewhere(seconds: float = 1.0) -> float:
    """Share of the processors' time that others take, the host included, while this run waits. NaN where there is no /proc."""
    if not PROCESSORS.exists():
        return math.nan
    before = _ticks()
    time.sleep(seconds)
    idle, whole = (after - was for was, after in zip(before, _ticks(), strict=True))
    return 1 - idle / whole


def _ticks() -> tuple[int, int]:
    """Ticks that the processors were idle or waited for disks, and all ticks, since the machine started."""
    _, *ticks = PROCESSORS.read_text("ascii").split("\n", 1)[0].split()
    of = [int(t) for t in ticks[:8]]  # what guests got stands in the others again
    return of[3] + of[4], sum(of)


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
