"""Single results that wait for a person while their report stands as `partial` (design/records.md, "Severity is data")."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gateway.errors import Finding
from gateway.record import Draft
from gateway.store.states import RecordState, Version
from gateway.store.unit import Unit

__all__ = ["released", "withhold"]

CODE = "impossible-value"


def released(unit: Unit, record: RecordState, version: Version) -> frozenset[str]:
    """`Type/id` of the results of this version that a person let pass."""
    rows = unit.raw.rows("SELECT part FROM hold WHERE record = ? AND part <> '' AND version = ? AND state = 'released'", [record.id, version.id])
    return frozenset(part for (part,) in rows)


def withhold(unit: Unit, drafts: Sequence[Draft], record: RecordState, version: Version) -> None:
    """Opens a hold for each withheld result that has none; those of results that are written now, or of older versions, are resolved."""
    names = {f"{d.type}/{d.id}": d for d in drafts}
    known: set[str] = set()
    if not record.fresh or record.versions > 1:
        unit.holds = [h for h in unit.holds if h[2] != record.id or not h[7]]
        rows = unit.raw.rows("SELECT id, version, part, state FROM hold WHERE record = ? AND part <> ''", [record.id])
        known = {part for _, of, part, state in rows if of == version.id and state != "resolved"}
        over = [id_ for id_, of, part, state in rows if state == "open" and (of != version.id or part not in names)]
        for id_ in over:
            unit.raw.run("UPDATE hold SET state = 'resolved', decided = ? WHERE id = ?", [unit.now, id_])
    for name, draft in names.items():
        if name not in known:
            finding = Finding(
                CODE, "hold", f"{_shown(draft)} 超出可能范围, 未写入, 报告暂为 partial; 核对无误就放行, 结果和完整的报告随即写出", draft.type
            )
            came = {"version": version.id, "part": name, "findings": [finding.as_dict()]}
            sides = json.dumps({"stands": {"version": version.id, "resources": []}, "came": came}, ensure_ascii=False, separators=(",", ":"))
            unit.holds.append((unit.raw.number(), version.id, record.id, CODE, "open", sides, unit.now, name))


def _shown(draft: Draft) -> str:
    """Item and value as people read them."""
    code, quantity = draft.body.get("code", {}), draft.body.get("valueQuantity", {})
    name = code.get("text") or next((c.get("display") or c["code"] for c in code.get("coding", ())), draft.type)
    return " ".join(str(p) for p in (name, quantity.get("comparator"), quantity.get("value"), quantity.get("unit")) if p is not None)
