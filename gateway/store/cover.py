"""Which contributions need not be read to compose a resource: those that a newer one of the same authority says word for word.

A resident's hundredth laboratory report repeats what the ninety-nine before said of the Patient. In a `merge` or `latest` the newest of
equal contributions of one authority stands before the others in every element, so these change nothing: they are kept as `covered`, and
read again only when the one that covers them changes, vanishes or moves (gateway/store/unit.py, `load_covered`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from gateway.store.states import ContributionState

__all__ = ["settle"]


def settle(contributions: Iterable[ContributionState]) -> None:
    """Marks what is covered among contributions of one resource. Given are at least all that are uncovered, and what is new."""
    groups: dict[tuple[int, int], list[ContributionState]] = {}
    for c in contributions:
        groups.setdefault((c.record, c.person), []).append(c)
    newest: dict[Hashable, tuple[tuple[str, str, str, int], list[ContributionState]]] = {}
    for parts in groups.values():
        said = _said(parts)
        if said is None:
            _mark(parts, covered=False)
            continue
        age = _age(parts)
        if said not in newest or newest[said][0] < age:
            if said in newest:
                _mark(newest[said][1], covered=True)
            newest[said] = (age, parts)
            _mark(parts, covered=False)
        else:
            _mark(parts, covered=True)


def _said(parts: Sequence[ContributionState]) -> Hashable | None:
    """What a record says, for comparison; None when its contribution counts by itself: the only one by nature, gone, or folded from
    versions that differ."""
    first = parts[0]
    said = (first.person, first.authority, first.compose, first.by, first.patients, first.content)
    for c in parts:
        if c.compose == "one" or not c.present or c.cleared or c.content is None:
            return None
        if (c.person, c.authority, c.compose, c.by, c.patients, c.content) != said:
            return None
    return said


def _age(parts: Sequence[ContributionState]) -> tuple[str, str, str, int]:
    """Orders contributions of one authority as `compose` does (gateway/store/compose.py, `Contribution.age`)."""
    last = max(parts, key=lambda c: c.rank)
    stamp, _, tie = last.rank.partition("|")
    return stamp, last.key, tie, last.record


def _mark(parts: Sequence[ContributionState], *, covered: bool) -> None:
    for c in parts:
        c.covered = covered
        if covered != c.was:
            c.dirty = True
