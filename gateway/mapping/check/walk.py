"""All lines of a plan with their FHIR paths, for the checks."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mapping import plan
from gateway.mapping.model import Place


def bodies(made: plan.MapPlan) -> Iterator[tuple[plan.Body, Place, plan.BlockPlan | None]]:
    """Every body of a map with the place of its head: blocks, fragments, and all elements with lines below."""
    for block in made.all_blocks:
        yield block.body, block.place, block
        yield from _below(made, block.body, block)
    for fragment in made.fragments.values():
        yield fragment.body, fragment.place, None
        yield from _below(made, fragment.body, None)


def _below(made: plan.MapPlan, body: plan.Body, block: plan.BlockPlan | None) -> Iterator[tuple[plan.Body, Place, plan.BlockPlan | None]]:
    for entry in body.entries:
        if isinstance(entry, plan.Sub):
            if entry.base is None:
                yield entry.body, made.lines[entry.line].place, block
            yield from _below(made, entry.body, block)


def entries(body: plan.Body, path: str) -> Iterator[tuple[str, plan.Set | plan.Sub]]:
    """Every line below a body with its path in R4's spelling (`Observation.component.value[x]`)."""
    for entry in body.entries:
        if isinstance(entry, plan.BlockPlan):
            continue
        here = f"{path}.{entry.slot.element.name}"
        yield here, entry
        if isinstance(entry, plan.Sub):
            if entry.base is not None:
                yield here, entry.base
            yield from entries(entry.body, here)


def sets(made: plan.MapPlan) -> Iterator[tuple[plan.Body, plan.Set]]:
    """Every line that writes a value, with the body it stands in."""
    for body, _, _ in bodies(made):
        for entry in body.entries:
            if isinstance(entry, plan.Set):
                yield body, entry
            elif isinstance(entry, plan.Sub) and entry.base is not None:
                yield body, entry.base
                yield from ((entry.body, e) for e in entry.body.entries if isinstance(e, plan.Set))
