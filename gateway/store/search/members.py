"""Members of a List (`_list`) and of a compartment (https://hl7.org/fhir/R4/search.html#list, compartmentdefinition.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import Finding, Refused
from gateway.fhir import json
from gateway.fhir.query import Criterion
from gateway.fhir.references import parse_reference
from gateway.store.index.match.reference import pointing_at
from gateway.store.index.match.row import Alternatives, Rids
from gateway.store.search.page import Compartment, current, rids_of
from gateway.store.search.question import Part

if TYPE_CHECKING:
    from gateway.store.search.run import Run

__all__ = ["keep_to", "listed"]


def listed(run: Run, type_: str, part: Part, criterion: Criterion) -> None:
    """Keeps a part to the members of any of these Lists; entries that are marked deleted are none."""
    ids: set[str] = set()
    for found in current(run.connection, run.scope, sorted(rids_of(run.connection, run.scope, "List", criterion.values))):
        entries = json.decode(found.content).get("entry")
        for entry in entries if isinstance(entries, list) else ():
            item = entry.get("item") if isinstance(entry, dict) and entry.get("deleted") is not True else None
            text = item.get("reference") if isinstance(item, dict) else None
            target = parse_reference(text, run.indexer.keys.base) if isinstance(text, str) else None
            if target is not None and target.type == type_ and not target.base:
                ids.add(target.id)
    part.only(ids)


def keep_to(run: Run, type_: str, part: Part, within: Compartment) -> None:
    """Keeps a part to a compartment: any of the parameters that the CompartmentDefinition names points at its owner. Raises Refused for a
    type that is never in it."""
    codes = run.indexer.r4.compartment(within.type).get(type_)
    if codes is None:
        message = f"{type_} 不在 {within.type} 的隔室(compartment)里, 不能这样检索"
        raise Refused(Finding("not-in-compartment", "refuse", message, source=f"{within.type}/{within.id}/{type_}"))
    either = Alternatives()
    for code in codes:
        either.join(pointing_at(run.asked(type_), part.plan.fields[code], [f"{within.type}/{within.id}"]))
    if type_ == within.type:
        owner = tuple(rids_of(run.connection, run.scope, type_, [within.id]))
        either.add(lambda row: row.rid in owner, [Rids(owner)])
    part.conditions.append(either.condition())
