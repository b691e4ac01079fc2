"""After the last block: what was lost is taken out of the drafts that referred to it before it was known to be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.errors import Finding
from gateway.mapping import plan
from gateway.mapping.runtime import FINAL, Reports
from gateway.record import Draft


class Settle:
    """For one map and source. A draft that loses a required element with the reference is lost itself, and so on; a report that loses a
    result, or whose result lost its value, is `partial`."""

    def __init__(self, reports: Reports) -> None:
        self.reports, self.plan = reports, reports.plan

    def __call__(self, drafts: list[Draft], withheld: list[Draft], lost: set[str] | None, emptied: set[str], findings: list[Finding]) -> None:
        """lost, emptied: `Type/id` of blocks that were not written, and of Observations without their value."""
        gone = lost
        while gone:
            fallen = set()
            for draft in [*drafts, *withheld]:
                touched = _without(draft.body, gone)
                if touched and not self._stands(draft, touched, findings):
                    fallen.add(f"{draft.type}/{draft.id}")
            for kept in (drafts, withheld):
                kept[:] = [d for d in kept if f"{d.type}/{d.id}" not in fallen]
            gone = fallen
        if emptied:
            for draft in drafts:
                if draft.type == "DiagnosticReport" and any(r.get("reference") in emptied for r in draft.body.get("result", ())):
                    _partial(draft)

    def _stands(self, draft: Draft, touched: Sequence[str], findings: list[Finding]) -> bool:
        """Whether the draft still has all that R4 requires; finding by finding what it lost."""
        block = self.plan.block(draft.block)
        for key in touched:
            line = _line(block.body, key)
            self.reports.reference_lost(findings, block.line if line is None else line)
        if draft.type == "DiagnosticReport" and "result" in touched:
            _partial(draft)
        _prune(block.body, draft.body)
        required = [e.name for e in block.body.elements.values() if e.min]
        if _complete(block.body, draft.body):
            return True
        self.reports.missing(findings, block.line, draft.body, required)
        return False


def _partial(draft: Draft) -> None:
    draft.partial = True
    if draft.body.get("status") in FINAL:
        draft.body["status"] = "partial"


def _line(body: plan.Body, key: str) -> int | None:
    """The map's line that writes this element of the block."""
    return next((e.line for e in body.entries if isinstance(e, plan.Set | plan.Sub) and e.slot.key == key), None)


def _complete(body: plan.Body, made: dict[str, Any]) -> bool:
    """Whether nothing that R4 requires is missing."""
    for element in body.elements.values():
        names = [element.json_name(t) for t in element.types] if element.choice else [element.name]
        if element.min and made.keys().isdisjoint(names):
            return False
    return True


def _prune(body: plan.Body, made: dict[str, Any]) -> None:
    """Leaves out elements below that the removed reference left empty or incomplete."""
    for entry in body.entries:
        if not isinstance(entry, plan.Sub) or entry.slot.key not in made:
            continue
        value = made[entry.slot.key]
        parts = [dict(v) for v in value] if isinstance(value, list) else [dict(value)]
        for part in parts:
            _prune(entry.body, part)
        kept = [p for p in parts if p and _complete(entry.body, p)]
        if not kept:
            del made[entry.slot.key]
        else:
            made[entry.slot.key] = kept if isinstance(value, list) else kept[0]


def _without(body: dict[str, Any], lost: set[str]) -> list[str]:
    """Removes references to lost resources, in place; the top-level elements that had one."""
    touched = []
    for key, value in list(body.items()):
        found, left = _cleaned(value, lost)
        if found:
            touched.append(key)
            if left is None:
                del body[key]
            else:
                body[key] = left
    return touched


def _cleaned(value: Any, lost: set[str]) -> tuple[bool, Any]:
    """(whether a lost reference stood in it, the value without; None when nothing is left). What is shared is copied, never changed."""
    if isinstance(value, dict):
        if value.get("reference") in lost:
            return True, None
        parts = {k: _cleaned(v, lost) for k, v in value.items()}
        if not any(found for found, _ in parts.values()):
            return False, value
        return True, {k: v for k, (_, v) in parts.items() if v is not None} or None
    if isinstance(value, list):
        items = [_cleaned(v, lost) for v in value]
        if not any(found for found, _ in items):
            return False, value
        return True, [v for _, v in items if v is not None] or None
    return False, value
