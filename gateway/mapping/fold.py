"""What is known of a body before any record: constant sub-trees, whether it can hold data, what it always writes."""

from __future__ import annotations

from typing import Any

from gateway.fhir.elements import Element
from gateway.mapping import plan


def folded(sub: plan.Sub) -> dict[str, Any] | None:
    """The value of an element that holds constants only and no condition, built once; None when it depends on data."""
    if sub.rows is not None or sub.when is not None or sub.base is not None:
        return None
    made: dict[str, Any] = {}
    for entry in sub.body.entries:
        if isinstance(entry, plan.Set):
            if not isinstance(entry.value, plan.Const) or entry.when is not None or entry.slot.open:
                return None
            value: Any = entry.value.value
        elif isinstance(entry, plan.Sub):
            value = folded(entry)
            if value is None:
                return None
        else:
            return None
        if entry.slot.many:
            made.setdefault(entry.slot.key, []).append(value)
        else:
            made[entry.slot.key] = value
    return made


def has_data(body: plan.Body) -> bool:
    """Whether any line of it reads the record."""
    return any(
        (isinstance(e, plan.Set) and not isinstance(e.value, plan.Const)) or (isinstance(e, plan.Sub) and (e.base is not None or has_data(e.body)))
        for e in body.entries
    )


def writes_always(body: plan.Body, element: Element) -> bool:
    """Whether the map's own text guarantees this element: a constant without a condition."""
    for entry in body.entries:
        if isinstance(entry, plan.BlockPlan) or entry.slot.element is not element:
            continue
        if isinstance(entry, plan.Set) and entry.when is None and (isinstance(entry.value, plan.Const) or entry.value.type == "resident"):
            return True
        if isinstance(entry, plan.Sub) and folded(entry) is not None:
            return True
    return False
