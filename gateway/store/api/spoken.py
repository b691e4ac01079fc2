"""Resources of which both records and clients speak (design/records.md, "Workflow and API").

What a client writes where records write too is a contribution with the caller's organisation as authority. Where the map says `merge`, it is
composed by precedence. Where it says `one` or `latest`, it is written as the client said it, and the record's next version is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gateway.errors import Finding
from gateway.store.api.followed import Pairs, forget, former
from gateway.store.api.mentions import CLIENT, Rids
from gateway.store.composer import Composer, stored
from gateway.store.states import ContributionState, RecordState, ResourceState
from gateway.store.unit import Unit
from gateway.store.work import Item

__all__ = ["DATASET", "WHOLE", "adopt", "authority_of", "contribute", "give_way", "overwritten"]

DATASET = "api"
"""Dataset of the records that stand for what clients say; the key is `Type/id`."""
WHOLE = "api"
"""Way of composing (gateway/store/compose.py): the newest word of a client stands alone."""
NOTHING = b"null"
"""Content of a contribution that deletes the resource."""


def authority_of(custodian: str) -> str:
    """Authority of what a client says; `mappings/tables/precedence.csv` names it so."""
    return f"urn:yifang:organisation:{custodian}"


def kind_of(unit: Unit, state: ResourceState) -> str:
    """How a client's word is composed with what stands there: `merge` where the records' maps merge, else it stands alone. So it does where
    a transition table governs: no precedence among records decides what a workflow has come to."""
    kinds = {c.compose for c in state.contributions.values()}
    governed = not state.deleted and unit.rules.governs(state.type, state.plain())
    return "merge" if "merge" in kinds and WHOLE not in kinds and not governed else WHOLE


def contribute(unit: Unit, composer: Composer, state: ResourceState, body: dict[str, Any] | None, *, custodian: str, kind: str,
               person: int = 0, follows: Pairs = ()) -> RecordState:  # fmt: skip
    """Puts a client's word (None: it is to be deleted) beside those of the records; the caller composes. follows: which claims its
    references follow. Gives the record that stands for the client's organisation."""
    unit.load_covered(state.rid)
    composer.keep(state)
    authority = authority_of(custodian)
    record = unit.record_named(authority, DATASET, f"{state.type}/{state.id}")
    said = NOTHING if body is None else stored(body)
    c = ContributionState(state.rid, record.id, person, "", _rank(unit), kind, "", True, said, follows, (), authority, record.key, body=body)
    old = state.contributions.get((record.id, person, ""))
    if old is not None:
        forget(unit, state, record.id, set(old.patients) - set(follows))
        c.fresh, c.dirty, c.was = old.fresh, True, old.was
    unit.add_contribution(c, record)
    return record


def _rank(unit: Unit) -> str:
    """Order among contributions: the moment of writing, as records' stamps are written."""
    moment = datetime.fromtimestamp(unit.now / 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}|{unit.raw.number():020d}"


def adopt(unit: Unit, composer: Composer, state: ResourceState) -> None:
    """Before a record joins a resource that only clients wrote, their word becomes a contribution."""
    if state.version and not state.deleted and not state.contributions and state.type != "Patient":
        follows = former(unit, composer.residents, Rids(), state).items()
        forget(unit, state, CLIENT, follows)
        contribute(unit, composer, state, state.plain(), custodian=state.custodian, kind="merge", follows=tuple(follows))


def overwritten(unit: Unit, record: RecordState, item: Item) -> list[Finding]:
    """Holds of a record that would take back what a client wrote; empty when it touches nothing of the kind, or is older than its own
    current version and so changes nothing."""
    if item.record.stamp and f"{item.record.stamp}|{item.record.digest}" < record.rank:
        return []
    return [_hold(unit.resources[rid]) for rid in dict.fromkeys(state.rid for state in _touched(unit, record, item))]


def _touched(unit: Unit, record: RecordState, item: Item) -> Iterator[ResourceState]:
    for draft in item.result.drafts:
        state = unit.by_name.get((draft.type, draft.id)) if draft.id else None
        if state is None or not state.version:
            continue
        if state.contributions:
            if any(c.compose == WHOLE for c in state.contributions.values()):
                yield state
        elif not state.deleted and (draft.compose != "merge" or unit.rules.governs(state.type, draft.body)):
            yield state
    for c in record.contributions.values():
        state = unit.resources[c.resource]
        if any(o.compose == WHOLE for o in state.contributions.values()):
            yield state


def _hold(state: ResourceState) -> Finding:
    text = (
        f"{state.type}/{state.id} 的第 {state.version} 版由接口写入, 本记录会改掉它, 未写入; 请比较两边(`yifang holds show` 与 "
        f"GET {state.type}/{state.id}/_history), 以来源记录为准则放行, 以接口所写为准则驳回"
    )
    return Finding("written-by-api", "hold", text, state.type)


def give_way(unit: Unit, record: RecordState, item: Item) -> None:
    """A person let the record pass: what clients said of its resources counts no more."""
    for state in list(_touched(unit, record, item)):
        for c in [c for c in state.contributions.values() if c.compose == WHOLE]:
            unit.load_covered(state.rid)
            unit.drop_contribution(c)
